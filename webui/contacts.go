package webui

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

// The register of contacts, as a list: never all of it at once.

// contactSearch is what somebody looks for among the contacts.
type contactSearch struct {
	Words    string
	Lang     string
	Status   string
	Standing string // one of standings; empty: everybody
	After    string
}

// standings are the chips above the list: how somebody stands to us.
var standings = []string{outreach.ConsentGiven, outreach.ConsentNone, outreach.ConsentWithdrawn, "optout", "out"}

// readContactSearch reads an address. What it does not understand does not
// filter.
func readContactSearch(q url.Values) contactSearch {
	f := contactSearch{Words: strings.TrimSpace(q.Get("q")), Status: strings.TrimSpace(q.Get("status")), After: q.Get("after")}
	if l := q.Get("speaks"); slices.Contains(queue.Languages, l) {
		f.Lang = l
	}
	if st := q.Get("who"); slices.Contains(standings, st) {
		f.Standing = st
	}
	return f
}

// at is the address that looks for the same.
func (f contactSearch) at() string {
	q := url.Values{}
	for name, value := range map[string]string{"q": f.Words, "speaks": f.Lang, "status": f.Status, "who": f.Standing, "after": f.After} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return "/contacts"
	}
	return "/contacts?" + q.Encode()
}

// asked in the terms of the register.
func (f contactSearch) asked() outreach.Search {
	s := outreach.Search{
		Words: f.Words, Language: f.Lang, Status: f.Status, After: f.After, Limit: pageLength,
		OptedOut: f.Standing == "optout", Excluded: f.Standing == "out", Patience: longestLook,
	}
	if !s.OptedOut && !s.Excluded {
		s.Consent = f.Standing
	}
	return s
}

// contactsView is the list.
type contactsView struct {
	*page
	Search  contactSearch
	Rows    []contactRow
	Chips   []stateView
	Count   string // how many were found; empty: this is no first page
	GoOn    bool   // not all were looked through
	Next    string // address; empty: these are the last
	Nobody  bool   // there is no contact at all
	Erased  bool   // somebody was just erased
	Waiting int    // messages to them that were in the air
}

// contactRow is one contact in the list.
type contactRow struct {
	ID, At   string // At: address
	Name     string
	Number   string // masked
	Lang     string
	Status   string
	Standing []badgeView
}

// badgeView is a word with its sign.
type badgeView struct{ Sign, Word string }

func (s *Site) contacts(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	v, err := s.readContacts(s.customers(r, "contacts"), readContactSearch(r.URL.Query()))
	if err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	v.Erased = r.URL.Query().Has("erased")
	s.render(w, http.StatusOK, "contacts", v)
}

func (s *Site) readContacts(p *page, f contactSearch) (*contactsView, error) {
	v := &contactsView{page: p, Search: f}
	other := f
	other.After, other.Standing = "", ""
	v.Chips = append(v.Chips, stateView{Word: p.T("all"), At: other.at(), Current: f.Standing == ""})
	for _, st := range standings {
		other.Standing = st
		v.Chips = append(v.Chips, stateView{Word: p.T("who_" + st), Sign: standingSigns[st], At: other.at(), Current: f.Standing == st})
	}
	found, err := s.outreach.Find(f.asked())
	if err != nil {
		return nil, err
	}
	for i := range found.List {
		k := &found.List[i]
		v.Rows = append(v.Rows, contactRow{
			ID: k.ID, At: contactAt(k.ID), Name: called(&k.Contact), Number: masked(k.Number), Lang: k.Language, Status: k.Status,
			Standing: p.standing(&k.Standing),
		})
	}
	v.GoOn = found.Short && len(v.Rows) < pageLength
	if found.Next != "" {
		f.After = found.Next
		v.Next = f.at()
	}
	if v.Search.After == "" {
		v.Count = p.counted(found)
	}
	v.Nobody = len(v.Rows) == 0 && f == contactSearch{}
	return v, nil
}

func (p *page) counted(f *outreach.Found) string {
	switch {
	case f.Short:
		return p.T("contacts_more", "n", f.Count)
	case f.Count == 1:
		return p.T("contacts_one")
	}
	return p.T("contacts_many", "n", f.Count)
}

// First page of the same search.
func (v *contactsView) First() string {
	f := v.Search
	f.After = ""
	return f.at()
}

var standingSigns = map[string]string{
	outreach.ConsentGiven: "ok", outreach.ConsentNone: "line", outreach.ConsentWithdrawn: "off", "optout": "off", "out": "off",
}

// standing in words: what forbids most comes first.
func (p *page) standing(s *outreach.Standing) (list []badgeView) {
	add := func(what string) { list = append(list, badgeView{standingSigns[what], p.T("is_" + what)}) }
	switch {
	case s.Out():
		add("out")
	case !s.OptedOut.IsZero():
		add("optout")
	default:
		add(s.Marketing())
	}
	return list
}

// contactAt is the address of one.
func contactAt(id string) string { return "/contact/" + url.PathEscape(id) }
