package smpp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fiorix/go-smpp/smpp/pdu"

	"tillpost/queue/route"
)

// What may lie on the desk. SMSCs keep some ten deliver_sm in flight, so the
// desk is full only when one floods us or the disk has stopped.
const (
	deskTasks = 2048
	deskBytes = 4 << 20
)

// clerks work at once. With one alone each receipt would be a commit of its
// own, which on a busy box costs 60 KB to the card and some milliseconds; side
// by side they share one.
const clerks = 32

// keepUnanswered bounds the memory of messages stored but not acknowledged.
const keepUnanswered = 2 * deskTasks

// desk is where everything lands that the SMSC tells by itself. What concerns
// one phone is worked off in the order in which it came, whichever session it
// came from: there is a clerk for each share of the numbers.
type desk struct {
	name     string
	identity string
	coding   string // Config.Alphabet
	whole    bool   // one answer and one receipt speak for all parts: the SMSC cuts
	ids      *idBook
	marked   bool // each part carries a mark of ours, and receipts may repeat it
	log      *slog.Logger

	seed  maphash.Seed
	trays [clerks]tray
	count atomic.Int64 // tasks on the desk
	size  atomic.Int64 // octets on the desk

	mu         sync.Mutex
	unanswered []digest // stored, but the session broke and nobody may have heard us say so
}

// tray is the work of one clerk, in order.
type tray struct {
	mu    sync.Mutex
	tasks []*task
	wake  chan struct{} // a token: there is something
}

// task is one deliver_sm or data_sm, to be answered on its session, or an
// answer that came too late for its Send.
type task struct {
	session *session
	frame   frame
	late    *lateAnswer
}

// lateAnswer is a submit_sm_resp that came after its Send had given up.
type lateAnswer struct {
	part  outPart
	frame frame
}

// digest names a PDU by everything but its sequence number.
type digest [sha256.Size]byte

func digestOf(f frame) digest {
	h := sha256.New()
	fmt.Fprintf(h, "%d ", f.ID)
	h.Write(f.body)
	return digest(h.Sum(nil))
}

func newDesk(cfg *Config, identity string, ids *idBook) *desk {
	d := &desk{
		name: cfg.Name, identity: identity, coding: cfg.Alphabet, ids: ids, marked: cfg.MessageReference, log: cfg.Log,
		whole: cfg.LongMessages == LongPayload,
		seed:  maphash.MakeSeed(),
	}
	for i := range d.trays {
		d.trays[i].wake = make(chan struct{}, 1)
	}
	return d
}

// put lays a deliver_sm or data_sm on the desk; false means that there is no
// room.
func (d *desk) put(s *session, f frame) bool {
	n := int64(len(f.body))
	count, size := d.count.Add(1), d.size.Add(n)
	if count > deskTasks || size > deskBytes {
		d.count.Add(-1)
		d.size.Add(-n)
		return false
	}
	d.lay(source(f.body), &task{session: s, frame: f})
	return true
}

// putLate lays a late answer on the desk. There are no more of these than
// maxLate for a session.
func (d *desk) putLate(a *lateAnswer) {
	d.lay([]byte(strings.TrimPrefix(a.part.to, "+")), &task{late: a})
}

// lay gives a task to the clerk for a number.
func (d *desk) lay(number []byte, t *task) {
	tray := &d.trays[maphash.Bytes(d.seed, number)%clerks]
	tray.mu.Lock()
	tray.tasks = append(tray.tasks, t)
	tray.mu.Unlock()
	select {
	case tray.wake <- struct{}{}:
	default:
	}
}

// source finds source_addr, the second string of a deliver_sm or data_sm. Of a
// damaged body it returns whatever is there. SMPP 3.4 §4.6.1
func source(body []byte) []byte {
	_, rest, _ := bytes.Cut(body, []byte{0})
	rest = rest[min(2, len(rest)):] // source_addr_ton, source_addr_npi
	number, _, _ := bytes.Cut(rest, []byte{0})
	return number
}

// next takes the first task of a tray, nil if it is empty.
func (t *tray) next() *task {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.tasks) == 0 {
		t.tasks = nil
		return nil
	}
	first := t.tasks[0]
	t.tasks[0] = nil
	t.tasks = t.tasks[1:]
	return first
}

// work works the desk off until ctx ends. What is left then was not
// acknowledged, and the SMSC will bring it again.
func (d *desk) work(ctx context.Context, sink route.Sink) {
	var wg sync.WaitGroup
	for i := range d.trays {
		wg.Go(func() { d.clerk(ctx, sink, &d.trays[i]) })
	}
	wg.Wait()
}

func (d *desk) clerk(ctx context.Context, sink route.Sink, tray *tray) {
	for ctx.Err() == nil {
		t := tray.next()
		if t == nil {
			select {
			case <-tray.wake:
			case <-ctx.Done():
			}
			continue
		}
		if t.late != nil {
			d.lateAnswer(ctx, sink, t.late)
			continue
		}
		d.carried(ctx, sink, t)
		d.count.Add(-1)
		d.size.Add(-int64(len(t.frame.body)))
		t.session.paid()
	}
}

// carried stores what a deliver_sm or data_sm brings, and then answers it.
func (d *desk) carried(ctx context.Context, sink route.Sink, t *task) {
	dig := digestOf(t.frame)
	if d.answerAgain(t, dig) {
		return
	}
	m, broken := decodeCarried(t.frame.ID, t.frame.body)
	err := d.store(ctx, sink, t.frame, &m, broken)

	answer := func(status pdu.Status) error {
		return t.session.replyCarried(t.frame, status, func() {
			if status == statusOK {
				d.remember(dig)
			}
		})
	}
	switch {
	case err != nil:
		d.log.Warn("could not store what the SMSC sent; it was told to come again", "err", err)
		err = answer(statusNotNow)
	case broken != nil:
		d.log.Warn("the SMSC sent a PDU that cannot be read; it was stored as it is", "err", broken)
		err = t.session.reply(pdu.NewGenericNACK(), t.frame.Seq, statusBadLength, nil)
	default:
		if err = answer(statusOK); err != nil {
			d.remember(dig)
		}
	}
	if err != nil {
		d.log.Debug("the session ended before the answer", "err", err)
	}
}

// remember notes that a PDU is stored and its answer may be lost: the SMSC
// will bring it again.
func (d *desk) remember(dig digest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.unanswered) == keepUnanswered {
		d.unanswered = d.unanswered[1:]
	}
	d.unanswered = append(d.unanswered, dig)
}

// answerAgain acknowledges a PDU that an earlier session brought, that is
// stored already, and whose answer was lost.
func (d *desk) answerAgain(t *task, dig digest) bool {
	d.mu.Lock()
	at := -1
	for i, old := range d.unanswered {
		if old == dig {
			at = i
			break
		}
	}
	if at >= 0 {
		d.unanswered = append(d.unanswered[:at], d.unanswered[at+1:]...)
	}
	d.mu.Unlock()
	if at < 0 {
		return false
	}
	if err := t.session.replyCarried(t.frame, statusOK, func() { d.remember(dig) }); err != nil {
		d.remember(dig)
	}
	return true
}
