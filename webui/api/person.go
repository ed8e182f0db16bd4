package api

import (
	"bytes"
	"context"
	"net/http"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/webui/api/wire"
)

// What the law gives a person: to be forgotten, and to be told what is known
// (GDPR articles 17 and 15).

func (a *API) erasePerson(c *call) (*reply, error) {
	var in wire.Person
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	done, err := a.queue.Erase(c.ctx, in.Number, c.who.by)
	if err != nil {
		return nil, err
	}
	a.log.Info("a person was erased", "by", c.who.by, "messages", done.Messages, "inbound", done.Inbound)
	return answer(http.StatusOK, done)
}

func (a *API) exportPerson(c *call) (*reply, error) {
	var in wire.Person
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	about, err := a.queue.Export(in.Number)
	if err != nil {
		return nil, err
	}
	out := wire.About{Number: about.Number, Messages: []wire.Message{}, Inbound: []wire.Inbound{}, Others: about.Others}
	for i, m := range about.Messages {
		why, until := a.queue.Explain(m)
		told := a.tell(c, m, why, until, about.Stories[i])
		if told.HTML, err = a.queue.HTMLForm(m); err != nil {
			return nil, err
		}
		out.Messages = append(out.Messages, told)
	}
	for _, in := range about.Inbound {
		out.Inbound = append(out.Inbound, inbound(in))
	}
	if about.OptOut != nil {
		out.OptedOut = clock(about.OptOut.At)
	}
	a.log.Info("what is known of a person was exported", "by", c.who.by)
	return answer(http.StatusOK, out)
}

// forget takes a number out of the answers that are kept for tills. The row
// stays: a till that repeats its request must not have the message sent anew.
func (m *answers) forget(ctx context.Context, number string) (int, error) {
	var rows [][]byte
	err := m.db.View(func(tx *store.Tx) error {
		for k, err := range keptTable.Scan(tx, nil) {
			if err != nil {
				return err
			}
			if bytes.Contains(k.Body, []byte(number)) {
				rows = append(rows, k.key())
			}
		}
		return nil
	})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	gone, err := answer(http.StatusGone, refusal(http.StatusGone, "erased", "", "the message that this request sent was erased with the person it went to"))
	if err != nil {
		return 0, err
	}
	return len(rows), m.db.Commit(ctx, func(tx *store.Tx) error {
		for _, key := range rows {
			k, err := keptTable.Get(tx, key)
			if err != nil {
				return err
			}
			if k == nil {
				continue
			}
			k.Status, k.Body = gone.status, gone.body
			if err := keptTable.Put(tx, k); err != nil {
				return err
			}
		}
		return nil
	})
}

// inbound is what came in, in the terms of the API.
func inbound(in queue.Inbound) wire.Inbound {
	out := wire.Inbound{
		ID: number(in.Seq), From: in.From, To: in.To, Text: in.Text, Route: in.Route, Identity: in.Identity,
		Received: in.At, Parts: inboundParts(in.Parts), Of: in.Of, Missing: append([]int{}, in.Missing...),
		Action: in.Action, By: in.By, Undecodable: in.Undecodable,
	}
	if in.Reply != 0 {
		out.Reply = in.Reply.String()
	}
	return out
}
