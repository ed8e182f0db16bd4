package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"tillpost/webui/api/wire"
	"tillpost/webui/live"
)

func (a *API) listEvents(c *call) (*reply, error) {
	q := c.r.URL.Query()
	if err := only(q, "after", "limit"); err != nil {
		return nil, err
	}
	after, err := seq(q, 0)
	if err != nil {
		return nil, err
	}
	n, err := limit(q, 100)
	if err != nil {
		return nil, err
	}
	out, err := a.happened(after, n)
	if err != nil {
		return nil, err
	}
	return answer(http.StatusOK, out)
}

// seq reads ?after, the number of an event.
func seq(q url.Values, missing uint64) (uint64, error) {
	s := q.Get("after")
	if s == "" {
		return missing, nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, refusal(http.StatusBadRequest, "cursor_invalid", "after", "after must be the number of an event. Leave it out to begin with the oldest")
	}
	return n, nil
}

// happened reads at most n events after one.
func (a *API) happened(after uint64, n int) (wire.Happened, error) {
	out := wire.Happened{Items: []wire.Event{}, Last: a.queue.LastEvent()}
	items, err := a.queue.Events(after, n)
	if err != nil {
		return out, err
	}
	out.Items = story(items)
	if len(items) == n && items[n-1].Seq < out.Last {
		out.Next = number(items[n-1].Seq)
	}
	return out, nil
}

// follow is the websocket /live: every event after ?after, or from now on, as
// it happens. It ends with the key.
func (a *API) follow(c *call) (*reply, error) {
	after, err := seq(c.r.URL.Query(), a.queue.LastEvent())
	if err != nil {
		return nil, err
	}
	// A cursor that is too old is refused before the connection changes its
	// protocol, where it can still be said how.
	if _, err := a.queue.Events(after, 1); err != nil {
		return nil, err
	}
	t := &tail{api: a, who: c.who, after: after}
	if err := a.hub.Serve(c.w, c.r, t, nil); err != nil {
		a.log.Debug("live connection ended", "key", c.who.by, "err", err)
	}
	return nil, nil
}

// tail is what one live connection has seen.
type tail struct {
	api   *API
	who   caller
	after uint64
}

var errRevoked = errors.New("the key was revoked")

// Next is the live.Source: what happened since it was called last, or nil.
func (t *tail) Next(uint64) (*live.Message, error) {
	if t.who.key != nil && !t.api.keys.valid(t.who.key) {
		return nil, errRevoked
	}
	out, err := t.api.happened(t.after, 500)
	if err != nil || len(out.Items) == 0 {
		return nil, err
	}
	t.after = out.Items[len(out.Items)-1].Seq
	return happening(out)
}

// Beat says that the box is there although nothing happened.
func (t *tail) Beat() (*live.Message, error) {
	return happening(wire.Happened{Items: []wire.Event{}, Last: t.after})
}

func happening(h wire.Happened) (*live.Message, error) {
	body, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return live.NewMessage(body)
}

func (a *API) listInbox(c *call) (*reply, error) {
	q := c.r.URL.Query()
	if err := only(q, "after", "limit"); err != nil {
		return nil, err
	}
	before, err := seq(q, 0)
	if err != nil {
		return nil, err
	}
	n, err := limit(q, 100)
	if err != nil {
		return nil, err
	}
	found, next, err := a.queue.Inbox(before, n)
	if err != nil {
		return nil, err
	}
	page := wire.Page[wire.Inbound]{Items: make([]wire.Inbound, len(found))}
	for i, in := range found {
		page.Items[i] = inbound(in)
	}
	if next != 0 {
		page.Next = number(next)
	}
	return answer(http.StatusOK, page)
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }
