package webui

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/hook"
	"tillpost/webui/lamp"
)

// Webhooks: other programs that are told what happens. What a person sets here
// is what PUT /webhooks sets; the rules are those of package hook.

// topics are what a webhook may be told of, as people think of it. Every kind of
// event but those about webhooks themselves is in one of them; a test sees to
// that.
var topics = []struct {
	Name  string
	Kinds []queue.Kind
}{
	{"fate", []queue.Kind{
		queue.KindAccepted, queue.KindDue, queue.KindTaken, queue.KindPart, queue.KindSent, queue.KindNotOffered, queue.KindRetry, queue.KindRejected,
		queue.KindUnknown, queue.KindInterrupted, queue.KindReport, queue.KindNoReport, queue.KindResent, queue.KindSettled, queue.KindRestarted,
		queue.KindRelayed, queue.KindHeld, queue.KindReleased, queue.KindRerouted, queue.KindExpired, queue.KindCancelled,
	}},
	{"inbox", []queue.Kind{queue.KindReceived, queue.KindOptOut, queue.KindOptIn}},
	{"ways", []queue.Kind{queue.KindRoute, queue.KindNotice, queue.KindPaused, queue.KindResumed, queue.KindQuota}},
	{"office", []queue.Kind{queue.KindCampaign, queue.KindRule, queue.KindSettings, queue.KindErased, queue.KindClock}},
}

// hookView is one webhook and how it fares.
type hookView struct {
	hook.Hook
	Sign, Says string
	Error      string // of the other side, in its words
	Skipped    int
	Cursor     uint64
	Behind     uint64
	CanReplay  bool
}

func (p *page) hook(h hook.Hook, s hook.State) hookView {
	last := p.site.queue.LastEvent()
	v := hookView{Hook: h, Error: s.Err, Skipped: s.Skipped, Cursor: s.Cursor, Behind: max(last, s.Cursor) - s.Cursor, CanReplay: last > 0}
	switch {
	case h.Off:
		v.Sign, v.Says = "held", p.T("hook_off")
	case s.Stopped:
		v.Sign, v.Says = "stop", p.T("hook_stopped")
	case s.Tries > 0:
		v.Sign, v.Says = "warn", p.T("hook_away", "n", s.Tries, "time", p.Clock(s.Due))
	case s.Told.IsZero():
		v.Sign, v.Says = "line", p.T("hook_new")
	default:
		v.Sign, v.Says = "ok", p.T("hook_well", "time", p.Moment(s.Told))
	}
	return v
}

// hookForm is what a person types about a webhook.
type hookForm struct {
	Name, URL, Pin, Secret string
	Text                   bool
	Topics                 map[string]bool
	Also                   string // kinds that are no whole topic, with commas
}

// formOf shows a webhook as a form would have made it.
func formOf(h hook.Hook) hookForm {
	f := hookForm{Name: h.Name, URL: h.URL, Pin: h.Pin, Text: h.Text, Topics: map[string]bool{}}
	rest := slices.Clone(h.Kinds)
	for _, t := range topics {
		if slices.ContainsFunc(t.Kinds, func(k queue.Kind) bool { return !slices.Contains(h.Kinds, k) }) {
			continue
		}
		f.Topics[t.Name] = true
		rest = slices.DeleteFunc(rest, func(k queue.Kind) bool { return slices.Contains(t.Kinds, k) })
	}
	var also []string
	for _, k := range rest {
		also = append(also, string(k))
	}
	f.Also = strings.Join(also, ", ")
	return f
}

func readHookForm(r *http.Request) hookForm {
	get := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	f := hookForm{
		Name: get("name"), URL: get("url"), Pin: get("pin"), Secret: get("secret"), Also: get("also"),
		Text: r.PostForm.Get("text") != "", Topics: map[string]bool{},
	}
	for _, t := range r.PostForm["topic"] {
		f.Topics[t] = true
	}
	return f
}

// kinds of the form; none at all means every kind there is.
func (f *hookForm) kinds() (list []queue.Kind) {
	for _, t := range topics {
		if f.Topics[t.Name] {
			list = append(list, t.Kinds...)
		}
	}
	for _, k := range strings.FieldsFunc(f.Also, func(r rune) bool { return r == ',' || r == ' ' }) {
		if !slices.Contains(list, queue.Kind(k)) {
			list = append(list, queue.Kind(k))
		}
	}
	return list
}

// hookPage is the page of one webhook.
type hookPage struct {
	*page
	Hook   hookView
	Form   hookForm
	Secret string // that was just made: it is shown once
	Wrong  string
	Done   string
	Test   *testView
}

// testView is what came of a test.
type testView struct {
	Sign, Says, Answer string
}

// Topics to choose from.
func (v *hookPage) Topics() (names []string) {
	for _, t := range topics {
		names = append(names, t.Name)
	}
	return names
}

func (v *settingsView) readHooks() error {
	list, fares, err := v.site.API.Hooks().List()
	for i, h := range list {
		v.Hooks = append(v.Hooks, v.hook(h, fares[i]))
	}
	return err
}

func (s *Site) readHook(p *page, name string) (*hookPage, error) {
	h, fares, err := s.API.Hooks().Get(name)
	if errors.Is(err, hook.ErrNotFound) {
		err = queue.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	p.Live, p.Lamp, p.Path = "strip", p.lamp(lamp.Look(s.queue, s.db)), "/settings/hooks/"+h.Name
	return &hookPage{page: p, Hook: p.hook(h, fares), Form: formOf(h)}, nil
}

func (s *Site) showHook(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	v, err := s.readHook(s.page(r, "settings"), r.PathValue("name"))
	s.show(w, r, "hook", v, err)
}

// setHook makes a webhook, or changes one, and shows a secret that the box has
// made for it.
func (s *Site) setHook(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p := s.page(r, "settings")
	f := readHookForm(r)
	known := r.PathValue("name") // empty: somebody adds one
	if known != "" {
		f.Name = known
	}
	old, _, err := s.API.Hooks().Get(f.Name)
	switch {
	case known != "" && errors.Is(err, hook.ErrNotFound):
		s.nothing(w, r)
		return
	case known == "" && err == nil:
		s.hookRefused(w, r, f, p.T("hook_wrong_twice", "name", f.Name))
		return
	}
	h := hook.Hook{Name: f.Name, URL: f.URL, Kinds: f.kinds(), Text: f.Text, Pin: f.Pin, Secret: f.Secret, Off: old.Off, By: p.till()}
	set, fresh, err := s.API.Hooks().Set(r.Context(), h)
	if bad, ok := errors.AsType[*queue.Invalid](err); ok {
		s.hookRefused(w, r, f, p.T("hook_wrong_"+bad.Field))
		return
	}
	if err != nil {
		s.trouble(w, p, err)
		return
	}
	s.log.Info("webhook set", "hook", set.Name, "by", p.till())
	v, err := s.readHook(p, set.Name)
	if err == nil {
		v.Done = v.T("hook_kept")
		if fresh && f.Secret == "" {
			v.Secret = set.Secret
		}
	}
	s.show(w, r, "hook", v, err)
}

// hookRefused shows the form again with what is wrong with it.
func (s *Site) hookRefused(w http.ResponseWriter, r *http.Request, f hookForm, wrong string) {
	if name := r.PathValue("name"); name != "" {
		v, err := s.readHook(s.page(r, "settings"), name)
		if err != nil {
			s.show(w, r, "hook", v, err)
			return
		}
		v.Form, v.Wrong = f, wrong
		s.render(w, http.StatusBadRequest, "hook", v)
		return
	}
	v := s.newSettings(r, "hooks")
	v.HookForm, v.Wrong = f, wrong
	s.renderSettings(w, http.StatusBadRequest, v)
}

// actOnHook does what the pressed button says.
func (s *Site) actOnHook(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
	defer cancel()
	name, act := r.PathValue("name"), r.PathValue("act")
	p, hooks := s.page(r, "settings"), s.API.Hooks()
	h, _, err := hooks.Get(name)
	var test *testView
	var done, wrong string
	if err == nil {
		switch act {
		case "test":
			test, err = p.testHook(ctx, name)
		case "pause", "resume":
			h.Off, h.Secret, h.By = act == "pause", "", p.till() // it keeps its secret
			_, _, err = hooks.Set(ctx, h)
		case "replay":
			done, wrong, err = p.replayHook(ctx, name, r.PostForm.Get("from"))
		case "delete":
			if err = hooks.Delete(ctx, name); err == nil {
				s.log.Info("webhook deleted", "hook", name, "by", p.till())
				http.Redirect(w, r, "/settings/hooks", http.StatusSeeOther)
				return
			}
		default:
			err = hook.ErrNotFound
		}
	}
	if errors.Is(err, hook.ErrNotFound) {
		s.nothing(w, r)
		return
	}
	if err != nil {
		s.trouble(w, p, err)
		return
	}
	v, err := s.readHook(p, name)
	if err == nil {
		v.Test, v.Done, v.Wrong = test, done, wrong
	}
	s.show(w, r, "hook", v, err)
}

// testHook sends a test event and says what came of it.
func (p *page) testHook(ctx context.Context, name string) (*testView, error) {
	r, err := p.site.API.Hooks().Try(ctx, name)
	if err != nil {
		return nil, err
	}
	ms := r.Took.Milliseconds()
	switch {
	case r.Err == "":
		return &testView{"ok", p.T("hook_test_well", "code", r.Status, "n", ms), r.Answer}, nil
	case r.Status == 0:
		return &testView{"stop", p.T("hook_test_silent", "why", r.Err), ""}, nil
	}
	return &testView{"stop", p.T("hook_test_refused", "code", r.Status, "n", ms), r.Answer}, nil
}

// replayHook lets a webhook begin anew with an event.
func (p *page) replayHook(ctx context.Context, name, from string) (done, wrong string, err error) {
	n, bad := strconv.ParseUint(strings.TrimSpace(from), 10, 64)
	if bad != nil || n == 0 {
		return "", p.T("hook_wrong_from"), nil
	}
	err = p.site.API.Hooks().Replay(ctx, name, n-1)
	if gone, ok := errors.AsType[*queue.Gone](err); ok {
		return "", p.T("hook_gone", "n", gone.First), nil
	}
	return p.T("hook_replayed", "n", n), "", err
}
