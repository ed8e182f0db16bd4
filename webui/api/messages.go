package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/queue/text"
	"tillpost/webui/api/wire"
)

func (a *API) postMessage(c *call) (*reply, error) {
	var in wire.Send
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	ref := ""
	if in.RefUnique {
		if in.Ref == "" {
			return nil, refusal(http.StatusBadRequest, "ref_missing", "ref", "ref_unique needs a ref to be unique. Send one, or leave ref_unique out")
		}
		ref = in.Ref
	}
	q, err := c.named(ref, in)
	if err != nil {
		return nil, err
	}
	if q != nil {
		return a.acceptOnce(c, q, in)
	}
	d, err := a.draftOf(c, in)
	if err != nil {
		return nil, err
	}
	m, err := a.queue.Add(c.ctx, d)
	if err != nil {
		return nil, err
	}
	return a.accepted(c, m)
}

// acceptOnce accepts a message and keeps the answer in one transaction, or
// gives the answer that is kept. A till that repeats itself is answered before
// anything else is asked: also by a box that is full.
func (a *API) acceptOnce(c *call, q *request, in wire.Send) (*reply, error) {
	var first *reply
	find := func(tx *store.Tx) (err error) {
		first, err = q.find(tx, a.memory.now())
		return err
	}
	if err := a.db.View(find); err != nil || first != nil {
		return first, err
	}
	d, err := a.draftOf(c, in)
	if err != nil {
		return nil, err
	}
	if err := a.db.Room(); err != nil {
		return nil, err
	}
	m, err := a.queue.Prepare(d)
	if err != nil {
		return nil, err
	}
	var rep *reply
	err = a.db.Commit(c.ctx, func(tx *store.Tx) error {
		rep = nil
		if err := find(tx); err != nil || first != nil {
			return err // its twin was quicker
		}
		if err := a.queue.AddTx(tx, m); err != nil {
			return err
		}
		var err error
		if rep, err = a.accepted(c, m); err != nil {
			return err
		}
		return q.keep(tx, rep, a.memory.now())
	})
	if first != nil {
		return first, err
	}
	return rep, err
}

// accepted is the answer to a message that was just accepted, with the story it
// has by then; the store need not be asked for it.
func (a *API) accepted(c *call, m *queue.Message) (*reply, error) {
	return answer(http.StatusAccepted, a.tell(c, m, m.Why, m.Until(), m.Noted()))
}

// draft reads the fields of the API into the terms of the queue, which checks
// what they say.
func draft(c *call, in wire.Send) (queue.Draft, error) {
	if err := c.who.checkCallback(in.Callback); err != nil {
		return queue.Draft{}, err
	}
	at, err := moment("at", in.At)
	if err != nil {
		return queue.Draft{}, err
	}
	expires, err := moment("expires", in.Expires)
	if err != nil {
		return queue.Draft{}, err
	}
	byMail := in.Channel == string(queue.Email)
	switch {
	case strings.TrimSpace(in.To) != "", byMail && in.Email != "":
	case byMail:
		return queue.Draft{}, refusal(http.StatusBadRequest, "address_empty", "to", "say to whom it goes: to is an e-mail address such as anna@example.nl")
	default:
		return queue.Draft{}, refusal(http.StatusBadRequest, "number_empty", "to", "say to whom it goes: to is a phone number such as +31612345678")
	}
	return queue.Draft{
		Ref: in.Ref, To: in.To, From: in.From, Text: in.Text,
		Channel: queue.Channel(in.Channel), Email: in.Email, Subject: in.Subject, HTML: in.HTML,
		Class: queue.Class(in.Class), Priority: in.Priority, At: at, Expires: expires, Report: in.Report,
		Encoding: in.Encoding, MaxParts: in.MaxParts, OnUnknown: in.OnUnknown, OnPartial: in.OnPartial,
		Pool: in.Pool, Flash: in.Flash, Lang: in.Lang, Callback: in.Callback, Force: in.Force, Till: c.who.by, TillLimits: c.who.limits(),
	}, nil
}

// tell is a message in the terms of the API.
func (a *API) tell(c *call, m *queue.Message, why queue.Reason, until time.Time, events []queue.Event) wire.Message {
	out := wire.Message{
		ID: m.ID.String(), State: wire.State(m.State), Reason: why.Text(c.lang, a.cfg.Location), Code: why.Code, Until: clock(until),
		Channel: string(m.Via()), To: m.To, Other: m.Other, From: m.From, Subject: m.Subject, Text: m.Text(), Given: m.Given, Encoding: m.Alphabet,
		Parts: make([]wire.Part, len(m.Parts)), Changes: changes(m.Changes), Price: price(m.Price),
		Class: string(m.Class), Priority: m.Priority, Till: m.Till, Source: m.Source, Contact: m.Contact, Event: m.Booking, Ref: m.Ref, Route: m.Route,
		Created: m.Created, Updated: m.Updated, Events: story(events),
	}
	for i, p := range m.Parts {
		out.Parts[i] = wire.Part{N: p.N, State: wire.State(p.State), Route: p.Route, Ref: p.Ref, Text: m.Segments[i].Text, Units: m.Segments[i].Units}
	}
	out.ETA = clock(a.queue.ETA(m, -1))
	return out
}

// tellNow adds what is known this second: its story, and the health of the
// route it waits for.
func (a *API) tellNow(c *call, m *queue.Message) (wire.Message, error) {
	events, err := a.queue.Story(m)
	if err != nil {
		return wire.Message{}, err
	}
	why, until := a.queue.Explain(m)
	return a.tell(c, m, why, until, events), nil
}

// mine finds the message of the path if the caller may see it. One that may
// not is told the same as one that asks for something that never was.
func (a *API) mine(c *call) (*queue.Message, error) {
	id, err := queue.ParseID(c.r.PathValue("id"))
	if err != nil {
		return nil, unseen()
	}
	m, err := a.queue.Get(id)
	if err != nil {
		return nil, err
	}
	if till := c.who.till(); till != "" && m.Till != till {
		return nil, unseen()
	}
	return m, nil
}

func unseen() error {
	return refusal(http.StatusNotFound, "not_found", "", "there is no message with this id, or not for this key. Check the id, as the answer to the send call gave it")
}

func (a *API) getMessage(c *call) (*reply, error) {
	m, err := a.mine(c)
	if err != nil {
		return nil, err
	}
	return a.now(c, m)
}

func (a *API) now(c *call, m *queue.Message) (*reply, error) {
	out, err := a.tellNow(c, m)
	if err != nil {
		return nil, err
	}
	// Of one message it can be counted what stands before it.
	ahead, err := a.queue.Ahead(m)
	if err != nil {
		return nil, err
	}
	out.ETA = clock(a.queue.ETA(m, ahead))
	if out.HTML, err = a.queue.HTMLForm(m); err != nil {
		return nil, err
	}
	return answer(http.StatusOK, out)
}

func (a *API) listMessages(c *call) (*reply, error) {
	q := c.r.URL.Query()
	if err := only(q, "state", "to", "ref", "since", "after", "limit"); err != nil {
		return nil, err
	}
	f := queue.Filter{State: queue.State(q.Get("state")), To: q.Get("to"), Ref: q.Get("ref"), Till: c.who.till()}
	if f.State != "" && !slices.Contains(queue.States, f.State) {
		return nil, refusal(http.StatusBadRequest, "unknown_value", "state",
			fmt.Sprintf("%q is not a state. States: %s", f.State, states()))
	}
	if f.To != "" && !text.IsAddress(f.To) && !strings.ContainsAny(f.To, "0123456789") {
		return nil, refusal(http.StatusBadRequest, "number_invalid", "to",
			fmt.Sprintf("%q is no number. to is a phone number such as +31612345678, or an e-mail address", f.To))
	}
	var err error
	if f.Since, err = moment("since", q.Get("since")); err != nil {
		return nil, err
	}
	if f.Limit, err = limit(q, 100); err != nil {
		return nil, err
	}
	if s := q.Get("after"); s != "" {
		if f.Before, err = queue.ParseID(s); err != nil {
			return nil, refusal(http.StatusBadRequest, "cursor_invalid", "after", "after must be the next of an earlier answer. Leave it out to begin with the newest")
		}
	}
	found, next, err := a.queue.List(f)
	if err != nil {
		return nil, err
	}
	page := wire.Page[wire.Message]{Items: make([]wire.Message, len(found))}
	for i, m := range found {
		if page.Items[i], err = a.tellNow(c, m); err != nil {
			return nil, err
		}
	}
	if next != 0 {
		page.Next = next.String()
	}
	return answer(http.StatusOK, page)
}

func states() string {
	s := make([]string, len(queue.States))
	for i := range queue.States {
		s[i] = string(queue.States[i])
	}
	return strings.Join(s, ", ")
}

func (a *API) cancelMessage(c *call) (*reply, error) {
	m, err := a.mine(c)
	if err != nil {
		return nil, err
	}
	if m, err = a.queue.Cancel(c.ctx, m.ID, c.who.by); err != nil {
		return nil, err
	}
	return a.now(c, m)
}

func (a *API) resendMessage(c *call) (*reply, error) {
	m, err := a.mine(c)
	if err != nil {
		return nil, err
	}
	if m, err = a.queue.Resend(c.ctx, m.ID, c.who.by); err != nil {
		return nil, err
	}
	return a.now(c, m)
}

func (a *API) settleMessage(c *call) (*reply, error) {
	var in wire.Settle
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	as := []queue.State{queue.Sent, queue.Delivered, queue.Failed, queue.Queued}
	state := queue.State(in.State)
	if !slices.Contains(as, state) {
		return nil, refusal(http.StatusBadRequest, "unknown_value", "state",
			fmt.Sprintf("a message cannot be settled as %q. Use sent, delivered, failed, or queued to send it again", in.State))
	}
	m, err := a.mine(c)
	if err != nil {
		return nil, err
	}
	if m, err = a.queue.Settle(c.ctx, m.ID, state, c.who.by); err != nil {
		return nil, err
	}
	return a.now(c, m)
}
