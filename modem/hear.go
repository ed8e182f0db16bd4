package modem

import (
	"context"
	"errors"
	"strings"
	"time"

	"tillpost/modem/at"
	"tillpost/queue/route"
)

// notice is what an unsolicited line is about.
type notice int

const (
	direct   notice = iota + 1 // a message or report itself
	stored                     // a message or report lies in a memory
	full                       // a memory is full
	network_                   // registration changed
	simCard                    // the SIM was touched
	booted                     // the modem came up
	answer                     // USSD
	ringing                    // a voice call
	supply                     // voltage
	timed                      // the network gave its time
)

// notices are the unsolicited lines that matter, of those in urcs.csv; the
// others are taken out of the stream and forgotten.
var notices = map[string]notice{
	"+CMT": direct, "+CDS": direct,
	"+CMTI": stored, "+CDSI": stored,
	"^SMMEMFULL": full, "+WMGF": full, "^SMGO": full,
	"+CREG": network_, "+CGREG": network_, "+CEREG": network_,
	"+CPIN": simCard, "#QSS": simCard, "+QSIMSTAT": simCard, "^SIMST": simCard, "+UUSIMSTAT": simCard, "^SCKS": simCard,
	"RDY": booted, "+CFUN": booted, "^SYSSTART": booted, "*EMRDY": booted, "+WIND": booted, "+AT: READY": booted,
	"+CUSD": answer,
	"+CTZV": timed, "+CTZE": timed, "+CTZU": timed, "*PSUTTZ": timed, "#NITZ": timed,
	"RING": ringing, "+CRING": ringing,
	"UNDER-VOLTAGE WARNNING": supply, "UNDER-VOLTAGE POWER DOWN": supply, "OVER-VOLTAGE WARNNING": supply,
}

// hearAll takes every event there is.
func (s *session) hearAll() {
	for {
		e, ok := s.conn.Take()
		if !ok {
			return
		}
		s.hear(e)
	}
}

// hearSome takes events as long as the worker has room for them.
func (s *session) hearSome() {
	for len(s.m.jobs) < cap(s.m.jobs) {
		e, ok := s.conn.Take()
		if !ok {
			return
		}
		s.hear(e)
	}
}

// hear sorts one event. It talks to nobody: what needs the modem becomes a
// task, what needs the sink a job.
func (s *session) hear(e at.Event) {
	if e.Late != nil {
		s.late(e.Late)
		return
	}
	switch notices[e.Prefix] {
	case direct:
		s.deliver(job{raw: e.PDU, ack: ack{direct: true, wanted: s.confirms, came: time.Now()}, report: e.Prefix == "+CDS"})
	case stored:
		if at, ok := parseSlot(e.Args()); ok {
			s.tasks = append(s.tasks, func(ctx context.Context) error { return s.fetch(ctx, at) })
		}
	case full:
		s.log.Warn("the memory for messages is full; sweeping")
		s.tasks = append(s.tasks, s.sweep)
	case network_:
		s.news.network = true
	case simCard:
		s.news.sim = s.news.sim || touched(e)
	case booted:
		// "+CFUN: 1" and the like, unasked. +WIND has other numbers for calls
		// and indicators: 4 is ready (Wavecom).
		s.news.restarted = s.news.restarted || e.Prefix != "+WIND" || e.Args() == "4"
	case answer:
		s.answered(e)
	case timed:
		s.tasks = append(s.tasks, s.checkClock)
	case ringing:
		s.hangUp()
	case supply:
		s.log.Error("the modem's power supply is bad", "line", e.Line)
	}
}

// touched tells whether a SIM line is news. READY repeats after a start.
func touched(e at.Event) bool {
	return !strings.Contains(e.Line, "READY") || strings.Contains(e.Line, "NOT READY")
}

// hangUp ends a voice call, for as long as it rings no message goes out
// (field-notes §1.7.4). Once for each burst of RING.
func (s *session) hangUp() {
	if time.Since(s.rang) < 10*time.Second {
		s.rang = time.Now()
		return
	}
	s.rang = time.Now()
	s.log.Info("a voice call came in and is refused")
	s.m.notice("call", "a voice call came in and was refused")
	s.tasks = append(s.tasks, func(ctx context.Context) error {
		if _, err := s.conn.Command(ctx, "AT+CHUP", 5*time.Second); isLost(err) {
			return err
		}
		return nil
	})
}

// late reports the answer of a message that had been given up as Unknown. The
// queue knows the message by its id and can settle it: sent, with the
// reference that its delivery report will name; or refused after all.
func (s *session) late(l *at.Late) {
	o, ok := l.Tag.(offered)
	if !ok || o.id == "" { // a self-test has no id
		return
	}
	rep := route.Report{Route: s.m.cfg.Name, Identity: s.identity(), ID: o.id, To: o.to, State: route.ReportSent, Code: "late", Why: "the modem confirmed it after our patience had ended"}
	if l.MR >= 0 {
		rep.Ref = refOf(l.MR)
	}
	if l.Err != nil {
		r := lookup(l.Err, s.profile.numbering)
		if r.Class != "accepted" && r.Retry != "ambiguous" {
			rep.Code, rep.Why = codeOf(l.Err), "refused after our patience had ended: "+r.Name
			rep.State = route.ReportUndelivered
			if o.whole && r.Retry != "no" {
				rep.State = route.ReportGivenBack // nothing of it went out: it can start again
			}
		}
	}
	s.log.Info("a late answer", "msg", o.id, "state", rep.State)
	s.m.noteSettled(s.identity(), o.id, 0)
	if l.MR >= 0 {
		s.noteAnswer(l.MR, o.to)
	}
	s.deliver(job{ready: &rep})
}

// offered is the tag of a Submit.
type offered struct {
	id, to string
	whole  bool // the part is the whole message
}

// errLostSettings: the settings are not what we made them.
var errLostSettings = errors.New("the modem has lost its settings")
