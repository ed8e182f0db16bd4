package webui

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"tillpost/queue"
	"tillpost/queue/text"
	"tillpost/webui/api"
	"tillpost/webui/api/wire"
	"tillpost/webui/lamp"
)

// The first start, from plugging in to the first message on a telephone, in
// five screens: password (access.go), country and language, modem, PIN, test.
// Each is a page of its own, works without scripts and without the Internet,
// and may be left out.

// steps of the wizard, in order. The first one asks for the set-up code.
var steps = []string{"password", "place", "modem", "pin", "test"}

// wizardView is one screen.
type wizardView struct {
	*page
	At    string
	Wrong string

	Fixed     map[string]bool // fields that the boot file says
	Country   string
	Language  string
	Countries []countryView
	Again     bool // the box begins anew with what was chosen

	Found []wayView
	Asks  []wayView // their SIM wants a PIN

	Me string
}

type countryView struct{ Code, Name string }

// StepsView is the row of steps on top of each screen.
type stepsView struct {
	*page
	At string
}

// Steps of a screen.
func (v *wizardView) Steps() stepsView { return stepsView{v.page, v.At} }

// Steps of the screen that asks for the password.
func (v *doorView) Steps() stepsView { return stepsView{v.page, steps[0]} }

// All steps.
func (v stepsView) All() []string { return steps }

// Done reports whether a step lies behind.
func (v stepsView) Done(step string) bool {
	return slices.Index(steps, step) <= slices.Index(steps, v.At)
}

// N is the number of a step.
func (v stepsView) N(step string) int { return slices.Index(steps, step) + 1 }

func (s *Site) showStep(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	at := r.PathValue("step")
	if i := slices.Index(steps, at); i < 1 {
		s.nothing(w, r)
		return
	}
	v, err := s.readStep(s.page(r, ""), at)
	if err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	if c, err := r.Cookie("me"); err == nil {
		v.Me = c.Value
	}
	s.render(w, http.StatusOK, "wizard", v)
}

func (s *Site) readStep(p *page, at string) (*wizardView, error) {
	v := &wizardView{page: p, At: at, Fixed: map[string]bool{}}
	p.Path = "/setup/" + at
	p.Lamp = p.lamp(lamp.Look(s.queue, s.db))
	switch at {
	case "place":
		v.readPlace()
	case "modem":
		p.Live = "found"
		var err error
		if v.Found, _, err = p.ways(); err != nil {
			return nil, err
		}
	case "pin":
		for _, r := range s.queue.Routes() {
			if l := lamp.Of(r); l.Code == "sim_pin" || l.Code == "sim_pin_wrong" {
				way, err := p.way(r, l)
				if err != nil {
					return nil, err
				}
				v.Asks = append(v.Asks, way)
			}
		}
	}
	return v, nil
}

// readPlace finds what the box takes itself to be.
func (v *wizardView) readPlace() {
	v.Language = v.Lang
	for _, c := range text.Countries() {
		name, known := countryNames[c]
		if !known {
			name = c
		}
		v.Countries = append(v.Countries, countryView{c, name})
	}
	slices.SortFunc(v.Countries, func(a, b countryView) int { return strings.Compare(a.Name, b.Name) })
	if v.site.cfg.Stored == nil {
		return
	}
	for _, field := range v.site.cfg.Stored.List() {
		if field.Fixed || field.Origin == wire.OriginFile {
			v.Fixed[field.Key] = true
		}
		if said, ok := field.Value.(string); ok && field.Key == "country" {
			v.Country = said
		}
	}
}

// countryNames as they are called there.
var countryNames = map[string]string{
	"AT": "Österreich", "BE": "België / Belgique", "CH": "Schweiz / Suisse", "CZ": "Česko", "DE": "Deutschland", "DK": "Danmark",
	"EE": "Eesti", "ES": "España", "FI": "Suomi", "FR": "France", "GB": "United Kingdom", "GR": "Ελλάδα", "HR": "Hrvatska",
	"HU": "Magyarország", "IE": "Ireland", "IT": "Italia", "LT": "Lietuva", "LU": "Luxembourg", "LV": "Latvija", "NL": "Nederland",
	"NO": "Norge", "PL": "Polska", "PT": "Portugal", "RO": "România", "SE": "Sverige", "SI": "Slovenija", "SK": "Slovensko",
	"US": "United States",
}

// LanguageName as it is called there.
func (p *page) LanguageName(lang string) string { return languageNames[lang] }

var languageNames = map[string]string{"en": "English", "nl": "Nederlands", "sv": "Svenska", "de": "Deutsch"}

// setPlace stores country and language, unless the boot file has them.
func (s *Site) setPlace(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v, err := s.readStep(s.page(r, ""), "place")
	if err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	country, language := r.PostForm.Get("country"), r.PostForm.Get("language")
	change := map[string]any{}
	if country != "" && country != v.Country && !v.Fixed["country"] {
		change["country"] = country
	}
	if slices.Contains(queue.Languages, language) {
		setLanguage(w, r, language)
		if language != s.cfg.Language && !v.Fixed["language"] {
			change["language"] = language
		}
		v.Lang, v.Language = language, language
	}
	if len(change) == 0 || s.cfg.Stored == nil {
		http.Redirect(w, r, "/setup/modem", http.StatusSeeOther)
		return
	}
	if err := s.change(r, change); err != nil {
		bad, ok := errors.AsType[*wire.Problem](err)
		if !ok {
			s.trouble(w, v.page, err)
			return
		}
		v.Wrong, v.Country = bad.Detail, country
		s.render(w, http.StatusBadRequest, "wizard", v)
		return
	}
	// The box begins anew with that and may not answer for a second: no
	// browser is sent on, a person is.
	v.Again, v.Country = true, country
	s.render(w, http.StatusOK, "wizard", v)
}

// change stores settings by the API's own rules. Its error is a *wire.Problem,
// or one that a person cannot help.
func (s *Site) change(r *http.Request, change map[string]any) error {
	body, err := json.Marshal(change)
	if err != nil {
		return err
	}
	ask, err := http.NewRequestWithContext(r.Context(), http.MethodPut, api.Prefix+"/settings", bytes.NewReader(body))
	if err != nil {
		return err
	}
	told := &inHand{head: http.Header{}}
	s.API.As(s.page(r, "").till()).ServeHTTP(told, ask)
	if told.status < 300 {
		return nil
	}
	var bad wire.Problem
	if err := json.Unmarshal(told.body.Bytes(), &bad); err != nil {
		return err
	}
	return &bad
}

// inHand takes an answer of the API that goes to the page, not to a socket.
type inHand struct {
	head   http.Header
	status int
	body   bytes.Buffer
}

func (a *inHand) Header() http.Header         { return a.head }
func (a *inHand) WriteHeader(status int)      { a.status = status }
func (a *inHand) Write(p []byte) (int, error) { return a.body.Write(p) }

// firstTest sends the first message, to who sets up the box.
func (s *Site) firstTest(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v, err := s.readStep(s.page(r, ""), "test")
	if err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	v.Me = strings.TrimSpace(r.PostForm.Get("me"))
	if v.Me == "" {
		v.Wrong = v.T("wrong_me")
		s.render(w, http.StatusBadRequest, "wizard", v)
		return
	}
	list, err := s.acceptAll(r.Context(), []queue.Draft{{Till: v.till(), To: v.Me, Text: v.T("first_text"), Lang: v.Lang}})
	if err != nil {
		v.Wrong = s.refusedAs(v.page, err)
		if bad, ok := errors.AsType[*queue.Invalid](err); ok {
			v.Wrong = v.sentence(bad, v.Me)
		}
		s.render(w, http.StatusBadRequest, "wizard", v)
		return
	}
	keepMe(w, r, v.Me)
	http.Redirect(w, r, "/messages/"+list[0].ID.String(), http.StatusSeeOther)
}
