package modem

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tillpost/modem/at"
	"tillpost/queue/route"
)

// Sending from the modem's own memory (Config.StoreFirst): AT+CMGW writes the
// message, AT+CMSS sends it. If the answer is lost, the memory may still tell:
// a message that it calls sent has left. One that it calls unsent proves
// nothing, for the modem may have died before it wrote that down.
//
// Modems differ in when they write it: when the network has answered, before,
// or never. So a modem is believed only after a test with this very one (see
// prove), which is kept by its IMEI, and never again after it was seen to call
// something sent that the network had refused.

// proof is what is known of a modem's memory.
type proof struct {
	Good bool      `json:"good"`
	Why  string    `json:"why"`
	At   time.Time `json:"at"`
}

func (s *session) proofKey() string { return "proof:" + s.imei + " " + s.model }

// pledge is what is committed before AT+CMSS: where the message lies, and what
// it is, so that the place is believed only if it still holds that message.
type pledge struct {
	ID     string    `json:"id"`
	To     string    `json:"to"`
	N      int       `json:"n"`
	Memory string    `json:"memory"`
	Index  int       `json:"index"`
	Hash   string    `json:"hash"`
	At     time.Time `json:"at"`
}

func (s *session) pledgeKey() string { return "pledge:" + s.identity() }

// bodyHash stands for a SUBMIT without what a modem may change when it keeps
// it: the SMSC in front and the TP-MR.
func bodyHash(raw string) (string, error) {
	b, err := unwrap(raw)
	if err != nil || len(b) < 3 {
		return "", fmt.Errorf("not a whole SUBMIT: %w", err)
	}
	b[1] = 0
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16]), nil
}

// offer hands one part to the modem, in the way that fits it.
func (s *session) offer(ctx context.Context, tag offered, n int, sub submit) (at.Submitted, error) {
	if !s.storesFirst {
		return s.conn.Submit(ctx, tag, sub.length, sub.hex)
	}
	none := at.Submitted{MR: -1}
	hash, err := bodyHash(sub.hex)
	if err != nil {
		return none, err
	}
	index, err := s.conn.Store(ctx, sub.length, sub.hex)
	if isLost(err) {
		s.m.strays[hash] = true
		return none, err
	}
	if err != nil {
		s.log.Warn("the modem does not write the message into its memory; it is sent without", "err", err)
		return s.conn.Submit(ctx, tag, sub.length, sub.hex)
	}
	place := slot{s.writesTo, index}
	p := pledge{ID: tag.id, To: tag.to, N: n, Memory: s.writesTo, Index: index, Hash: hash, At: time.Now()}
	if err := s.promise(ctx, p); err != nil {
		s.log.Warn("where the message lies cannot be written down; it is sent without", "err", err)
		s.drop(place)
		return s.conn.Submit(ctx, tag, sub.length, sub.hex)
	}
	done, err := s.conn.SubmitStored(ctx, tag, index)
	if isLost(err) {
		return done, err // the place is looked at when the modem is back
	}
	s.m.answered = p
	if err != nil {
		s.distrust(ctx, place)
	}
	s.drop(place)
	return done, err
}

// isStray tells whether a draft is one of ours whose place was never told,
// because the answer of AT+CMGW was lost.
func (s *session) isStray(raw string) bool {
	hash, err := bodyHash(raw)
	if err != nil || !s.m.strays[hash] {
		return false
	}
	delete(s.m.strays, hash)
	return true
}

// promise commits p.
func (s *session) promise(ctx context.Context, p pledge) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.m.cfg.Memory.Save(ctx, s.pledgeKey(), b)
}

// drop has a place cleared when the line is free, once: when it was cleared, a
// message from the network may lie there.
func (s *session) drop(place slot) {
	if !s.claim(place) {
		return
	}
	s.owe(place)
}

// distrust looks whether a message that the network refused is called sent. If
// so the memory of this modem proves nothing, now and ever.
func (s *session) distrust(ctx context.Context, place slot) {
	stat, _, err := s.lookAt(ctx, place)
	if err != nil || stat != stoSent {
		return
	}
	s.storesFirst = false
	if err := s.keepProof(ctx, proof{Why: "it called a message sent that the network had refused", At: time.Now()}); err != nil {
		s.log.Warn("what was learnt of the modem's memory cannot be written down", "err", err)
	}
}

func (s *session) keepProof(ctx context.Context, p proof) error {
	s.log.Info("what the modem's memory is worth as a proof", "good", p.Good, "why", p.Why)
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.m.cfg.Memory.Save(context.WithoutCancel(ctx), s.proofKey(), b)
}

// recallProof reads what is known of this modem's memory; known is false if it was
// never tested.
func (s *session) recallProof() (p proof, known bool, err error) {
	b, err := s.m.cfg.Memory.Load(s.proofKey())
	if err != nil || len(b) == 0 {
		return p, false, err
	}
	err = json.Unmarshal(b, &p)
	return p, err == nil, err
}

// believed tells whether this modem has passed the test.
func (s *session) believed() bool {
	p, known, err := s.recallProof()
	if err != nil {
		s.log.Warn("what is known of the modem's memory cannot be read", "err", err)
	}
	return known && p.Good
}

// redeem looks, before anything new is sent, at the place of the message whose
// answer was lost. The error is a lost answer.
func (s *session) redeem(ctx context.Context) error {
	var p pledge
	b, err := s.m.cfg.Memory.Load(s.pledgeKey())
	if err == nil && len(b) > 0 {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		s.log.Warn("where a lost message lies cannot be read", "err", err)
	}
	if p.ID == "" {
		return nil
	}
	place := slot{p.Memory, p.Index}
	stat, raw, err := s.lookAt(ctx, place)
	if isLost(err) {
		return err
	}
	if hash, bad := bodyHash(raw); err != nil || bad != nil || hash != p.Hash {
		return nil // it was cleared behind an answer, and may hold something else by now
	}
	if p.At.Equal(s.m.answered.At) {
		s.drop(place) // no answer is missing, only the place was not cleared
		return nil
	}
	if stat != stoSent || !s.believed() {
		s.log.Info("the modem's memory does not tell whether a lost message left", "msg", p.ID)
		s.drop(place)
		return nil
	}
	s.log.Info("the modem's memory says that a lost message left", "msg", p.ID)
	s.m.noteSettled(s.identity(), p.ID, p.N)
	clear := ack{slot: place}
	if !s.claim(place) {
		clear = ack{} // it is being cleared already
	}
	s.deliver(job{ack: clear, ready: &route.Report{
		Route: s.m.cfg.Name, ID: p.ID, To: p.To, Identity: s.identity(), State: route.ReportSent, Code: "storage",
		Why: "the answer was lost, but the modem's memory calls this message sent, and this modem does so only when it has left",
	}})
	return nil
}

// nowhere is an SMSC that cannot be: 999 is no country (ITU-T E.164).
const nowhere = "069199090000F0"

// prove tests the memory of this modem, once: a message to its own number must
// lie there as unsent, and as sent when the network has it; and one that the
// network refuses, for its SMSC does not exist, must stay unsent. The line is
// held. It costs one message.
func (s *session) prove(ctx context.Context, sub submit) (at.Submitted, error) {
	bad := func(why string) error {
		return s.keepProof(ctx, proof{Why: why, At: time.Now()})
	}
	index, err := s.conn.Store(ctx, sub.length, sub.hex)
	if err != nil {
		if isLost(err) {
			return at.Submitted{MR: -1}, err
		}
		return at.Submitted{MR: -1}, errors.Join(err, bad("it does not write messages into its memory"))
	}
	place := slot{s.writesTo, index}
	defer s.drop(place)
	before, _, err := s.lookAt(ctx, place)
	if isLost(err) {
		return at.Submitted{MR: -1}, err
	}
	done, err := s.conn.SubmitStored(ctx, offered{}, index)
	if err != nil {
		return done, err // proves nothing; tried again another time
	}
	after, _, err := s.lookAt(ctx, place)
	if isLost(err) {
		return done, nil
	}
	if err != nil || before != stoUnsent || after != stoSent {
		return done, bad("a message that went out was not called sent")
	}
	why, err := s.refusedStaysUnsent(ctx, sub)
	if err != nil {
		return done, nil // the message itself went
	}
	if why != "" {
		return done, bad(why)
	}
	s.storesFirst = true
	return done, s.keepProof(ctx, proof{Good: true, Why: "a message that went out was called sent, one that was refused was not", At: time.Now()})
}

// refusedStaysUnsent returns why not; an error is a lost answer.
func (s *session) refusedStaysUnsent(ctx context.Context, sub submit) (why string, err error) {
	index, err := s.conn.Store(ctx, sub.length, nowhere+sub.hex[len("00"):])
	if err != nil {
		if isLost(err) {
			return "", err
		}
		return "a second message could not be written", nil
	}
	place := slot{s.writesTo, index}
	defer s.drop(place)
	_, err = s.conn.SubmitStored(ctx, offered{}, index)
	e, refused := errors.AsType[*at.Error](err)
	switch {
	case err == nil:
		return "a message through an SMSC that does not exist was not refused", nil
	case !refused:
		return "", err
	case e.Kind != "CMS" || e.Code < 0 || e.Code > 255:
		return "the modem itself refused the message that the network was to refuse", nil
	}
	stat, _, err := s.lookAt(ctx, place)
	switch {
	case isLost(err):
		return "", err
	case err != nil || stat != stoUnsent:
		return "it calls a message sent before the network has answered", nil
	}
	return "", nil
}
