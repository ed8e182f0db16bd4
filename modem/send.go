package modem

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"tillpost/modem/at"
	"tillpost/queue/route"
)

// Send offers the parts of one message to the network, in order, and holds the
// line for all of them: only acknowledgements go between.
func (m *Modem) Send(ctx context.Context, out route.Outbound) (route.Receipt, error) {
	todo := out.Todo()
	if err := m.sendable(&out, todo); err != nil {
		return route.Receipt{}, &route.Error{Fate: route.Reject, Scope: route.ScopeMessage, Code: "encode", Text: m.cfg.Name + ": " + err.Error(), Err: err}
	}
	s, why := m.current()
	if s == nil {
		return route.Receipt{}, route.Refuse(m.cfg.Name, why)
	}
	if err := s.seize(ctx); err != nil {
		return route.Receipt{}, err
	}
	defer s.release()
	return s.send(ctx, &out, todo)
}

// sendable refuses what can be known to fail before the modem is asked.
func (m *Modem) sendable(out *route.Outbound, todo []int) error {
	if len(out.Segments) == 0 {
		return errors.New("text: there is none")
	}
	for _, n := range todo {
		if _, err := encode(out, n, m.form(out)); err != nil {
			return err
		}
	}
	return nil
}

// form fills in report request and validity as the message wants them.
func (m *Modem) form(out *route.Outbound) form {
	f := form{report: out.Report, validity: true, period: m.cfg.Validity}
	if !out.Expires.IsZero() {
		f.period = time.Until(out.Expires)
	}
	return f
}

func (s *session) send(ctx context.Context, out *route.Outbound, todo []int) (route.Receipt, error) {
	rcpt := route.Receipt{Identity: s.identity()}
	for i, n := range todo {
		if err := s.mayGo(ctx); err != nil {
			return rcpt, err
		}
		if err := s.keepLink(ctx, len(todo)-i); err != nil {
			s.raise(trouble{why: err})
			return rcpt, route.Refuse(s.m.cfg.Name, err.Error())
		}
		part, err := s.sendPart(ctx, out, n)
		if part.State != "" {
			rcpt.Parts = append(rcpt.Parts, part)
		}
		if err != nil || i == len(todo)-1 {
			return rcpt, err
		}
		// From the first byte on the message goes on to its verdict, whoever
		// cancelled; a deadline still holds.
		if i == 0 {
			var stop context.CancelFunc
			ctx, stop = outlive(ctx)
			defer stop()
		}
		if err := s.m.sink.Progress(ctx, out.ID, out.Attempt, part); err != nil {
			return rcpt, &route.Error{Fate: route.NotOffered, Scope: route.ScopeMessage, Err: err,
				Text: fmt.Sprintf("%s: stopped after part %d of %d, which could not be recorded", s.m.cfg.Name, n, part.Of)}
		}
	}
	return rcpt, nil
}

// outlive keeps the deadline of ctx and nothing else of its end.
func outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	free := context.WithoutCancel(ctx)
	if d, ok := ctx.Deadline(); ok {
		return context.WithDeadline(free, d)
	}
	return context.WithCancel(free)
}

// mayGo pays what is owed to the network before the next part, and looks
// whether the line is still good.
func (s *session) mayGo(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return route.Ended(ctx, s.m.cfg.Name)
	}
	if cur, why := s.m.current(); cur != s {
		return route.Refuse(s.m.cfg.Name, why)
	}
	if err := s.acknowledge(context.WithoutCancel(ctx), false); err != nil {
		s.raise(trouble{why: err})
		return route.Refuse(s.m.cfg.Name, err.Error())
	}
	return nil
}

// linkStays is how soon the next part must follow for the network's link to be
// up still: it goes one to five seconds after the last one (27.005 §3.5.6).
const linkStays = time.Second

// keepLink asks for the link to stay up where more follows: a part of the same
// message, or a message that was handed to us at the heels of the last one. A
// refusal means that the modem cannot, and nothing about the message.
func (s *session) keepLink(ctx context.Context, parts int) error {
	soon := time.Since(s.answeredAt) < linkStays
	if !soon && s.profile.more == 1 {
		s.linked = false // it has gone meanwhile
	}
	if s.profile.more == 0 || s.noMore || s.linked || parts < 2 && !soon {
		return nil
	}
	_, err := s.conn.Command(ctx, fmt.Sprintf("AT+CMMS=%d", s.profile.more), 5*time.Second)
	if isLost(err) {
		return err
	}
	s.linked, s.noMore = err == nil, err != nil
	return nil
}

// sendPart offers one part and judges the answer. The part's State is empty if
// nothing of it has left.
func (s *session) sendPart(ctx context.Context, out *route.Outbound, n int) (route.Part, error) {
	part := route.Part{N: n, Of: len(out.Segments), Identity: s.identity()}
	f := s.m.form(out)
	s.m.noteSettled(s.identity(), out.ID, n) // a part that goes again is no longer lost
	for {
		f.validity = f.validity && !s.noValidity
		f.report = f.report && !s.noReport
		sub, err := encode(out, n, f)
		if err != nil {
			return part, &route.Error{Fate: route.Reject, Scope: route.ScopeMessage, Code: "encode", Text: s.m.cfg.Name + ": " + err.Error(), Err: err}
		}
		tag := offered{id: out.ID, to: out.To, whole: len(out.Segments) == 1}
		done, err := s.offer(ctx, tag, n, sub)
		part.At = time.Now()
		if err == nil {
			part.State = route.PartSent
			if done.MR >= 0 {
				part.Ref = refOf(done.MR)
			}
			s.answeredAt = time.Now()
			s.noteAnswer(done.MR, out.To)
			s.credit.note(out.To, nil)
			s.m.well()
			s.checkEcho()
			return part, nil
		}
		if s.without(&f, err) {
			continue
		}
		v := judge(s.m.cfg.Name, s.profile.numbering, done.Phase, err)
		if v.err == nil { // 197: the network has it from an earlier try
			part.State = route.PartSent
			return part, nil
		}
		switch {
		case v.err.Fate == route.Unknown:
			part.State = route.PartUnknown
			s.noteLost(out, n, f.period)
		case done.Phase == at.Gone:
			part.State = route.PartRefused
		}
		if cause := context.Cause(ctx); v.err.Fate == route.NotOffered && cause != nil && errors.Is(err, cause) {
			return part, s.withdrawn(ctx)
		}
		s.suffer(out.To, v, err)
		return part, v.err
	}
}

// withdrawn ends a Send that was cancelled before the first byte of its PDU.
// Nothing is wrong with the route; at most a prompt waits to be left.
func (s *session) withdrawn(ctx context.Context) error {
	if s.conn.OutOfStep() {
		if err := s.conn.Resync(context.WithoutCancel(ctx)); err != nil {
			s.raise(trouble{why: err})
		}
	}
	return route.Ended(ctx, s.m.cfg.Name)
}

func refOf(mr int) string { return strconv.Itoa(mr) }

// without leaves out what the SMSC said it does not take, and remembers:
// CMS 198, 199 (validity), 69 (report or validity).
func (s *session) without(f *form, err error) bool {
	e, ok := errors.AsType[*at.Error](err)
	if !ok || e.Kind != "CMS" {
		return false
	}
	switch {
	case (e.Code == 198 || e.Code == 199) && f.validity:
		s.noValidity = true
	case e.Code == 69 && f.report:
		s.noReport = true
	case e.Code == 69 && f.validity:
		s.noValidity = true
	default:
		return false
	}
	s.log.Info("the network does not take a validity period or a report request; sending without", "code", e.Code)
	return true
}

// suffer lets the route follow a verdict: what it means beyond this message.
func (s *session) suffer(to string, v verdict, err error) {
	switch {
	case isLost(err):
		s.raise(trouble{why: err})
	case v.held != "":
		s.raise(trouble{held: v.held, wait: v.wait, why: err})
	case s.credit.note(to, v.err):
		s.raise(trouble{held: "no_credit", wait: probeEvery, why: err})
	case v.reset:
		s.raise(trouble{reset: true, why: err})
	}
}

// raise takes the route out of service before the verdict is returned, so that
// the next message is not offered to it, and wakes the states.
func (s *session) raise(t trouble) {
	if !s.m.dismiss(s) {
		return // the states have noticed before us
	}
	code, st := t.held, route.Hand
	if code == "" {
		code = "modem_silent"
	}
	if t.held == "" || t.held == "no_signal" {
		st = route.Waiting
	}
	s.m.enter(st, code, "", t.why.Error())
	s.alarm <- t // has room: there is one for each dismissal, and ready takes it
}

// checkEcho notices, without asking, a modem that restarted in silence: it
// echoes again.
func (s *session) checkEcho() {
	if s.conn.Echoes() != s.echoes {
		s.raise(trouble{why: errLostSettings})
	}
}
