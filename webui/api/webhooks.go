package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"tillpost/queue"
	"tillpost/queue/hook"
	"tillpost/webui/api/wire"
)

// Hooks are the webhooks of the box, for its page.
func (a *API) Hooks() *hook.Hooks { return a.hooks }

func (a *API) listWebhooks(*call) (*reply, error) {
	list, fares, err := a.hooks.List()
	if err != nil {
		return nil, err
	}
	page := wire.Page[wire.Webhook]{Items: make([]wire.Webhook, len(list))}
	for i, h := range list {
		page.Items[i] = a.webhook(h, fares[i])
	}
	return answer(http.StatusOK, page)
}

func (a *API) getWebhook(c *call) (*reply, error) {
	h, s, err := a.hooks.Get(c.r.PathValue("name"))
	if err != nil {
		return nil, noWebhook(c, err)
	}
	return answer(http.StatusOK, a.webhook(h, s))
}

// putWebhook shows the secret where the box has made it, and then never again.
func (a *API) putWebhook(c *call) (*reply, error) {
	var in wire.NewWebhook
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	h, fresh, err := a.hooks.Set(c.ctx, hook.Hook{
		Name: c.r.PathValue("name"), URL: in.URL, Kinds: kinds[queue.Kind](in.Kinds), Text: in.Text, Pin: in.Pin, Secret: in.Secret, Off: in.Off, By: c.who.by,
	})
	if err != nil {
		return nil, err
	}
	_, s, err := a.hooks.Get(h.Name)
	if err != nil {
		return nil, err
	}
	a.log.Info("webhook set", "hook", h.Name, "by", c.who.by)
	out := a.webhook(h, s)
	if !fresh {
		return answer(http.StatusOK, out)
	}
	if in.Secret == "" {
		out.Secret = h.Secret
	}
	return answer(http.StatusCreated, out)
}

func (a *API) deleteWebhook(c *call) (*reply, error) {
	if err := a.hooks.Delete(c.ctx, c.r.PathValue("name")); err != nil {
		return nil, noWebhook(c, err)
	}
	a.log.Info("webhook deleted", "hook", c.r.PathValue("name"), "by", c.who.by)
	return &reply{status: http.StatusNoContent}, nil
}

func (a *API) testWebhook(c *call) (*reply, error) {
	r, err := a.hooks.Try(c.ctx, c.r.PathValue("name"))
	if err != nil {
		return nil, noWebhook(c, err)
	}
	return answer(http.StatusOK, wire.WebhookTest{OK: r.Err == "", Status: r.Status, Millis: r.Took.Milliseconds(), Error: r.Err, Answer: r.Answer})
}

func (a *API) replayWebhook(c *call) (*reply, error) {
	name := c.r.PathValue("name")
	var in wire.Replay
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	h, s, err := a.hooks.Get(name)
	if err != nil {
		return nil, noWebhook(c, err)
	}
	after := s.Cursor
	if in.After != nil {
		after = *in.After
	}
	if err := a.hooks.Replay(c.ctx, name, after); err != nil {
		return nil, noWebhook(c, err)
	}
	if _, s, err = a.hooks.Get(name); err != nil {
		return nil, noWebhook(c, err)
	}
	return answer(http.StatusOK, a.webhook(h, s))
}

// addressed is what queue/hook asks: the webhook that hears of an event although
// it did not choose its kind.
func (a *API) addressed(e queue.Event) (string, error) {
	_, name, err := a.outreach.Outcome(e)
	return name, err
}

// hasWebhook is what outreach asks before it promises a notice.
func (a *API) hasWebhook(name string) (bool, error) {
	_, _, err := a.hooks.Get(name)
	if errors.Is(err, hook.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func noWebhook(c *call, err error) error {
	if !errors.Is(err, hook.ErrNotFound) {
		return err
	}
	return refusal(http.StatusNotFound, "not_found", "name", fmt.Sprintf("there is no webhook called %q. GET /webhooks lists them", c.r.PathValue("name")))
}

func (a *API) webhook(h hook.Hook, s hook.State) wire.Webhook {
	return wire.Webhook{
		Name: h.Name, URL: h.URL, Kinds: kinds[string](h.Kinds), Text: h.Text, Pin: h.Pin, Off: h.Off,
		Created: h.Created, By: h.By, Cursor: s.Cursor, Behind: max(a.queue.LastEvent(), s.Cursor) - s.Cursor,
		Told: clock(s.Told), Tries: s.Tries, Due: clock(s.Due), Error: s.Err, Stopped: s.Stopped, Skipped: s.Skipped,
	}
}

// hookBody is what is sent for an event: the event, with the message or what
// came in as it is now. Nothing is said of a person who was erased meanwhile.
func (a *API) hookBody(name string, e queue.Event, m *queue.Message, text bool) ([]byte, error) {
	out := wire.HookCall{Box: a.db.Box(), Hook: name, Event: event(e)}
	c := &call{lang: a.cfg.Language}
	if m == nil && e.Msg != 0 {
		found, err := a.queue.Get(e.Msg)
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			return nil, err
		}
		m = found
	}
	if m != nil {
		told, err := a.tellNow(c, m)
		if err != nil {
			return nil, err
		}
		told.Events = []wire.Event{} // it tells one of them
		if !text {
			told.Text, told.Given, told.Subject, told.Changes = "", "", "", []wire.Change{}
			for i := range told.Parts {
				told.Parts[i].Text = ""
			}
		}
		out.Message = &told
	}
	switch e.Kind {
	case queue.KindCampaign, queue.KindRule:
		outcome, _, err := a.outreach.Outcome(e)
		if err != nil {
			return nil, err
		}
		if outcome != nil {
			out.Outcome = outcome
		}
	case queue.KindReceived, queue.KindOptOut, queue.KindOptIn:
		seq, err := strconv.ParseUint(e.Ref, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("api: event %d names %q as what came in: %w", e.Seq, e.Ref, err)
		}
		in, err := a.queue.InboundOf(seq)
		if err != nil {
			return nil, err
		}
		if in != nil {
			told := inbound(*in)
			if !text {
				told.Text, told.Parts = "", nil
			}
			out.Inbound = &told
		}
	}
	rep, err := answer(http.StatusOK, out)
	if err != nil {
		return nil, err
	}
	return rep.body, nil
}

// checkCallback says whether a caller may have an address called back.
func (c caller) checkCallback(address string) error {
	if address == "" {
		return nil
	}
	if err := hook.CheckURL("callback", address); err != nil {
		return err
	}
	u, err := url.Parse(address)
	if err != nil || c.key == nil || !c.key.mayCall(u.Host) {
		return refusal(http.StatusBadRequest, "callback_refused", "callback",
			"this key may not have that host called: it is not among its callback_hosts. Make a key that names it, ask with GET /messages/{id}, or read GET /events")
	}
	return nil
}

// limits of the key that calls.
func (c caller) limits() queue.TillLimits {
	if c.key == nil {
		return queue.TillLimits{}
	}
	return queue.TillLimits{PerHour: c.key.PerHour, PerDay: c.key.PerDay}
}
