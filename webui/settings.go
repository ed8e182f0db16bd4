package webui

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/webui/api"
	"tillpost/webui/api/wire"
	"tillpost/webui/door"
	"tillpost/webui/lamp"
	"tillpost/webui/recent"
)

// settingsView is what every page of the settings has.
type settingsView struct {
	*page
	At    string // which of them
	Wrong string
	Done  string

	Ways   []wayView
	Fields []fieldView
	Keys   []wire.Key
	Scopes []api.Scope
	Key    string // that was just made: it is shown once
	People []door.Person
	Lines  []recent.Line

	Mail     []mailField
	Hooks    []hookView
	HookForm hookForm
}

// HookFields are the fields of a new webhook.
func (v *settingsView) HookFields() *hookPage { return &hookPage{page: v.page, Form: v.HookForm} }

// pageOf the settings: its address, the right it needs and its template.
type pageOf struct {
	At   string
	need right
}

// settingsPages in the order in which they are named.
var settingsPages = []pageOf{
	{"ways", looks}, {"email", steers}, {"values", steers}, {"keys", steers}, {"people", grants}, {"hooks", steers}, {"log", steers}, {"backup", steers},
}

// Pages are the other pages of the settings that somebody may see.
func (v *settingsView) Pages() []pageOf {
	return slices.DeleteFunc(slices.Clone(settingsPages), func(p pageOf) bool { return !v.may(p.need) })
}

// Roles to choose from.
func (v *settingsView) Roles() []door.Role { return door.Roles }

// RoleWord of anybody.
func (v *settingsView) RoleWord(r door.Role) string { return v.T("role_" + string(r)) }

func (s *Site) newSettings(r *http.Request, at string) *settingsView {
	v := &settingsView{page: s.page(r, "settings"), At: at}
	v.Path = "/settings/" + at
	v.Live, v.Lamp = "strip", v.lamp(lamp.Look(s.queue, s.db))
	return v
}

func (s *Site) showSettings(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	at := r.PathValue("at")
	if at == "" {
		at = "ways"
	}
	i := slices.IndexFunc(settingsPages, func(p pageOf) bool { return p.At == at })
	if i < 0 {
		s.nothing(w, r)
		return
	}
	v := s.newSettings(r, at)
	if !v.may(settingsPages[i].need) {
		s.note(w, v.page, http.StatusForbidden, "not_yours_h", v.T("not_yours_text", "role", v.Role()), "/")
		return
	}
	s.renderSettings(w, http.StatusOK, v)
}

// renderSettings reads what the page shows and draws it.
func (s *Site) renderSettings(w http.ResponseWriter, status int, v *settingsView) {
	switch v.At {
	case "ways":
		var err error
		if v.Ways, _, err = v.ways(); err != nil {
			s.trouble(w, v.page, err)
			return
		}
	case "values":
		v.readFields()
	case "keys":
		v.Keys, v.Scopes = s.API.Keys(), api.Scopes
	case "people":
		v.People = s.door.People()
	case "email":
		if v.Mail == nil {
			v.readMail(nil)
		}
	case "hooks":
		if err := v.readHooks(); err != nil {
			s.trouble(w, v.page, err)
			return
		}
	case "log":
		if s.cfg.Recent != nil {
			v.Lines = s.cfg.Recent.Lines()
		}
	}
	s.render(w, status, "settings", v)
}

// Level of a line as a sign.
func (v *settingsView) LevelSign(line recent.Line) string {
	switch {
	case line.Level >= 8:
		return "stop"
	case line.Level >= 4:
		return "warn"
	}
	return "line"
}

// fieldView is one field of the boot file's schema as it is in force.
type fieldView struct {
	Name   string // as in the file: quiet_hours.enabled
	Value  string
	Origin string // file | store | default
	Kind   string // text | number | truth | list
	Fixed  bool   // it can be changed in the file only
}

func (v *settingsView) readFields() {
	if v.site.cfg.Stored == nil {
		return
	}
	for _, s := range v.site.cfg.Stored.List() {
		f := fieldView{Name: s.Key, Origin: s.Origin, Fixed: s.Fixed || s.Origin == wire.OriginFile}
		switch said := s.Value.(type) {
		case string:
			f.Kind, f.Value = "text", said
		case bool:
			f.Kind, f.Value = "truth", strconv.FormatBool(said)
		default:
			raw, err := json.Marshal(said)
			if err != nil {
				v.site.log.Error("a setting cannot be shown", "key", s.Key, "err", err)
				continue
			}
			f.Kind, f.Value = "list", string(raw)
			if len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') {
				f.Kind = "number"
			}
		}
		v.Fields = append(v.Fields, f)
	}
}

// setValue changes one setting; the box then begins anew with it.
func (s *Site) setValue(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v := s.newSettings(r, "values")
	v.readFields()
	i := slices.IndexFunc(v.Fields, func(f fieldView) bool { return f.Name == r.PostForm.Get("name") })
	if i < 0 {
		s.nothing(w, r)
		return
	}
	field, typed := v.Fields[i], strings.TrimSpace(r.PostForm.Get("value"))
	var value any = typed
	switch {
	case r.PostForm.Get("do") == "usual":
		value = nil
	case field.Kind != "text":
		if !json.Valid([]byte(typed)) {
			v.Wrong = v.T("wrong_value", "name", field.Name, "value", typed)
			v.Fields = nil
			s.renderSettings(w, http.StatusBadRequest, v)
			return
		}
		value = json.RawMessage(typed)
	}
	v.Fields = nil
	s.keepSettings(w, r, v, map[string]any{field.Name: value}, v.T("value_kept", "name", field.Name))
}

// keepSettings changes settings and says done, or what is wrong with them. It
// does not redirect: the box begins anew, and does not answer for a second.
func (s *Site) keepSettings(w http.ResponseWriter, r *http.Request, v *settingsView, change map[string]any, done string) {
	err := s.change(r, change)
	if bad, ok := errors.AsType[*wire.Problem](err); ok {
		v.Wrong = bad.Detail
		s.renderSettings(w, bad.Status, v)
		return
	}
	if err != nil {
		s.trouble(w, v.page, err)
		return
	}
	v.Mail, v.Done = nil, done // read anew
	s.renderSettings(w, http.StatusOK, v)
}

// addKey makes a key and shows it, once.
func (s *Site) addKey(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v := s.newSettings(r, "keys")
	var scopes []api.Scope
	for _, name := range r.PostForm["scope"] {
		scopes = append(scopes, api.Scope(name))
	}
	key, err := s.API.AddKey(r.Context(), strings.TrimSpace(r.PostForm.Get("name")), scopes, v.till())
	if bad, ok := errors.AsType[*wire.Problem](err); ok {
		v.Wrong = bad.Detail
		s.renderSettings(w, bad.Status, v)
		return
	}
	if err != nil {
		s.trouble(w, v.page, err)
		return
	}
	v.Key = key
	s.renderSettings(w, http.StatusOK, v)
}

func (s *Site) revokeKey(w http.ResponseWriter, r *http.Request) {
	p := s.page(r, "settings")
	err := s.API.RevokeKey(r.Context(), r.PathValue("name"), p.till())
	if _, ok := errors.AsType[*wire.Problem](err); ok {
		s.nothing(w, r)
		return
	}
	if err != nil {
		s.trouble(w, p, err)
		return
	}
	http.Redirect(w, r, "/settings/keys", http.StatusSeeOther)
}

// setPerson gives somebody a password and a role.
func (s *Site) setPerson(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v := s.newSettings(r, "people")
	who := door.Person{Name: strings.TrimSpace(r.PostForm.Get("name")), Role: door.Role(r.PostForm.Get("role"))}
	err := s.door.SetPerson(r.Context(), who, r.PostForm.Get("password"))
	if weak, ok := errors.AsType[*door.Weak](err); ok {
		v.Wrong = v.tooWeak(weak)
	}
	switch {
	case errors.Is(err, door.ErrName):
		v.Wrong = v.T("wrong_name")
	case errors.Is(err, door.ErrRole):
		v.Wrong = v.T("wrong_role")
	}
	switch {
	case v.Wrong != "":
		s.renderSettings(w, http.StatusBadRequest, v)
	case err != nil:
		s.trouble(w, v.page, err)
	default:
		http.Redirect(w, r, "/settings/people", http.StatusSeeOther)
	}
}

func (p *page) tooWeak(weak *door.Weak) string {
	if weak.Long {
		return p.T("weak_long")
	}
	return p.T("weak_short", "n", weak.Length)
}

func (s *Site) removePerson(w http.ResponseWriter, r *http.Request) {
	err := s.door.RemovePerson(r.Context(), r.PathValue("name"))
	if errors.Is(err, door.ErrNobody) {
		s.nothing(w, r)
		return
	}
	if err != nil {
		s.trouble(w, s.page(r, "settings"), err)
		return
	}
	http.Redirect(w, r, "/settings/people", http.StatusSeeOther)
}

// copyOfAll hands out a backup: the API's own, for somebody who has logged in.
func (s *Site) copyOfAll(w http.ResponseWriter, r *http.Request) {
	again := r.Clone(r.Context())
	again.URL.Path, again.Method = api.Prefix+"/backup", http.MethodPost
	s.API.As(s.page(r, "").till()).ServeHTTP(w, again)
}

// Stamp of a line of the log.
func (p *page) Stamp(t time.Time) string { return p.in(t).Format("01-02 15:04:05") }
