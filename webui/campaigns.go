package webui

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
)

// Campaigns: one text to many. A draft shows what it would come to; who starts
// it sees the numbers once more; from then on the page follows it.

// campaignsView is the list of one kind.
type campaignsView struct {
	*page
	Kind  outreach.Kind
	Rows  []campaignRow
	Older string
	First bool
}

// campaignRow is one of them in the list.
type campaignRow struct {
	Name, At   string // at: address
	Sign, Word string
	When, By   string
	People     int
	Bar        int // of 1152, done
	Done       int
}

// campaignSigns and words of each state.
var campaignSigns = map[outreach.CampaignState]string{
	outreach.CampaignDraft: "line", outreach.CampaignWaiting: "planned", outreach.CampaignRunning: "sending", outreach.CampaignHanded: "sent",
	outreach.CampaignPaused: "held", outreach.CampaignResuming: "held", outreach.CampaignMoving: "planned", outreach.CampaignStopping: "off",
	outreach.CampaignStopped: "off", outreach.CampaignDone: "ok",
}

// campaignKinds in the order in which they are named.
var campaignKinds = []outreach.Kind{outreach.KindCampaign, outreach.KindBatch, outreach.KindRun}

// Kinds to choose from.
func (v *campaignsView) Kinds() []outreach.Kind { return campaignKinds }

func (s *Site) campaigns(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	v, err := s.readCampaigns(s.customers(r, "campaigns"), r.URL.Query())
	s.show(w, r, "campaigns", v, err)
}

func (s *Site) readCampaigns(p *page, q url.Values) (*campaignsView, error) {
	v := &campaignsView{page: p, Kind: outreach.KindCampaign}
	if k := outreach.Kind(q.Get("kind")); slices.Contains(campaignKinds, k) {
		v.Kind = k
	}
	skip, err := strconv.Atoi(q.Get("skip"))
	if err != nil || skip < 0 {
		skip = 0
	}
	if v.First = skip == 0; v.First {
		v.Live = "campaigns?kind=" + string(v.Kind)
	}
	all, err := s.allCampaigns(v.Kind)
	if err != nil {
		return nil, err
	}
	for i := skip; i < min(len(all), skip+pageLength); i++ {
		v.Rows = append(v.Rows, p.campaignRow(&all[i]))
	}
	if skip+pageLength < len(all) {
		v.Older = "/campaigns?kind=" + string(v.Kind) + "&skip=" + strconv.Itoa(skip+pageLength)
	}
	return v, nil
}

// allCampaigns of a kind: those that somebody has to do with first, then the
// newest.
func (s *Site) allCampaigns(kind outreach.Kind) (all []outreach.Campaign, err error) {
	for after := ""; ; {
		list, next, err := s.outreach.Campaigns(kind, after, 1000)
		if err != nil {
			return nil, err
		}
		if all = append(all, list...); next == "" {
			break
		}
		after = next
	}
	slices.SortStableFunc(all, func(a, b outreach.Campaign) int {
		if n := cmp.Compare(ended(&a), ended(&b)); n != 0 {
			return n
		}
		return begun(&b).Compare(begun(&a))
	})
	return all, nil
}

func ended(c *outreach.Campaign) int {
	if c.State == outreach.CampaignDone || c.State == outreach.CampaignStopped {
		return 1
	}
	return 0
}

func begun(c *outreach.Campaign) time.Time {
	if !c.Started.IsZero() {
		return c.Started
	}
	return c.Created
}

func (p *page) campaignRow(c *outreach.Campaign) campaignRow {
	row := campaignRow{
		Name: p.campaignName(c), At: "/campaigns/" + url.PathEscape(c.Name), Sign: campaignSigns[c.State], Word: p.T("cs_" + string(c.State)),
		When: p.campaignWhen(c), By: p.by(c.By), People: c.Recipients, Done: c.Handed + c.Refused,
	}
	if c.Recipients > 0 {
		row.Bar = row.Done * progWide / c.Recipients
	}
	return row
}

// campaignName is how people call it.
func (p *page) campaignName(c *outreach.Campaign) string {
	switch c.Kind {
	case outreach.KindRun:
		return c.Rule + ", " + c.Day
	case outreach.KindBatch:
		return cmp.Or(c.ExternalID, c.Name)
	}
	return c.Name
}

// campaignWhen says when it goes, or went.
func (p *page) campaignWhen(c *outreach.Campaign) string {
	switch {
	case !c.Ended.IsZero():
		return p.Clock(c.Ended)
	case c.State == outreach.CampaignDraft:
		return p.whenWords(&c.When)
	case c.State == outreach.CampaignWaiting:
		return p.Clock(c.Due)
	}
	return p.T("since", "time", p.Clock(c.Due))
}

// whenWords says when a campaign is to begin.
func (p *page) whenWords(w *outreach.When) string {
	of := cmp.Or(w.Event, p.T("ca_the_event"))
	switch {
	case !w.At.IsZero():
		return p.Clock(w.At)
	case w.Offset.IsZero():
		return p.T("ca_at_once")
	case w.Offset.Before():
		return p.T("ca_before", "span", p.spanWords(w.Offset), "event", of)
	}
	return p.T("ca_after", "span", p.spanWords(w.Offset), "event", of)
}

// campaignView is the page of one.
type campaignView struct {
	*page
	*outreach.Campaign
	Kind   outreach.Kind // the page has a word of that name, too
	Called string
	Sign   string
	Word   string
	Said   string // what it says, in one line: template or own text
	For    string
	Allow  string
	Slow   string // throttle
	Begins string
	Me     string

	// Of a draft.
	Preview  *previewView
	Refused  string // it cannot be sent as it is
	Test     string // id of the test that was sent
	Wrong    string
	Once     string
	Doing    string // start | stop | delete: to be confirmed
	LeftOver int    // who will not get it when it is stopped

	// Of one that was started.
	Run   *progressView
	Sift  []siftView
	List  []recipientView
	Fails []recipientView
	Older string
	First bool
}

// siftView is one reason for which people are left out.
type siftView struct {
	Why   string
	Count int
	Who   []string
}

// previewView is what a draft comes to.
type previewView struct {
	People, Chosen    int
	Parts, Long       int
	Cost              string
	Unpriced          int
	Last, First       string
	Warn              []string
	Sift              []siftView
	Merged            int
	Shortest, Longest *outreach.Shown
	Some              []outreach.Shown
	Replaced          []outreach.Replaced
}

func (s *Site) showCampaign(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	v, err := s.readCampaign(s.customers(r, "campaigns"), r.PathValue("name"), r.URL.Query())
	s.show(w, r, "campaign", v, err)
}

// readCampaign reads all that the page of one shows.
func (s *Site) readCampaign(p *page, name string, q url.Values) (*campaignView, error) {
	c, rep, err := s.progress(name)
	if err != nil {
		return nil, err
	}
	p.Path = "/campaigns/" + name
	v := &campaignView{
		page: p, Campaign: c, Kind: c.Kind, Called: p.campaignName(c), Sign: campaignSigns[c.State], Word: p.T("cs_" + string(c.State)),
		Said: p.campaignSays(c), Allow: p.consentWords(c.Consent, c.Class), Slow: p.throttleWords(&c.Throttle), Begins: p.whenWords(&c.When),
		Once: newOnce(),
	}
	switch {
	case c.Listed > 0:
		v.For = p.T("ca_list_of", "n", c.Listed)
	case !c.Audience.IsZero():
		v.For = p.audienceWords(&c.Audience)
	case c.Rule != "":
		v.For = p.T("ca_found_by", "rule", c.Rule)
	default:
		v.For = p.T("ca_list_of", "n", c.Recipients)
	}
	if c.State == outreach.CampaignDraft {
		return v, v.readPreview()
	}
	v.Live = "campaign/" + name
	v.Run = p.run(c, rep)
	v.LeftOver = v.Run.Waiting
	if err := v.readFailures(rep); err != nil {
		return nil, err
	}
	if err := v.readList(q.Get("after")); err != nil {
		return nil, err
	}
	v.Sift, err = p.sift(c.Excluded)
	return v, err
}

// campaignSays is what a campaign says, in one line.
func (p *page) campaignSays(c *outreach.Campaign) string {
	if c.Template != "" {
		return p.T("ca_template", "name", c.Template)
	}
	for _, lang := range append([]string{p.Lang}, queue.Languages...) {
		if words := c.Texts[lang]; words != "" {
			return words
		}
	}
	return ""
}

// throttleWords says how a campaign is slowed; empty: not.
func (p *page) throttleWords(t *outreach.Throttle) string {
	var said []string
	if t.Burst > 0 && t.Pause > 0 {
		said = append(said, p.T("ca_burst", "n", t.Burst, "time", p.Took(time.Duration(t.Pause*float64(time.Second)))))
	}
	if t.Gap > 0 {
		said = append(said, p.T("ca_gap", "time", p.Took(time.Duration(t.Gap*float64(time.Second)))))
	}
	return strings.Join(said, ". ")
}

// readPreview counts what the draft would send.
func (v *campaignView) readPreview() error {
	pre, err := v.site.outreach.Preview(v.Campaign)
	if said, ok := v.wrongWith(err); err != nil && ok {
		v.Refused = said
		return nil
	}
	if err != nil {
		return err
	}
	if len(pre.Unknown) > 0 {
		v.Refused = v.T("no_such_field", "what", pre.Unknown[0].As)
	}
	p := &previewView{
		People: pre.Messages, Parts: pre.Parts, Cost: sum(pre.Total), Unpriced: pre.Unpriced, Merged: pre.Merged,
		Shortest: pre.Shortest, Longest: pre.Longest, Some: pre.First, Replaced: pre.Replaced,
	}
	for parts, n := range pre.ByParts {
		if parts != "1" {
			p.Long += n
		}
	}
	if p.Sift, err = v.sift(slices.Concat(pre.Excluded, pre.Refused)); err != nil {
		return err
	}
	p.Chosen = p.People + p.Merged
	for _, left := range p.Sift {
		p.Chosen += left.Count
	}
	v.warn(p, &pre.Estimate)
	v.Preview = p
	return nil
}

// warn says what somebody should know about the time before they start it.
func (v *campaignView) warn(p *previewView, e *outreach.Estimate) {
	if e.LastAt.IsZero() {
		p.Warn = append(p.Warn, v.T("ca_warn_no_way"))
		return
	}
	p.First, p.Last = v.Clock(e.FirstAt), v.Clock(e.LastAt)
	if !e.Within {
		p.Warn = append(p.Warn, v.T("ca_warn_line", "time", p.First))
	}
	if !v.Until.IsZero() && e.LastAt.After(v.Until) {
		p.Warn = append(p.Warn, v.T("ca_warn_event", "time", p.Last, "start", v.Clock(v.Until)))
	}
}

// sift tells who is left out, and why, the largest group first.
func (p *page) sift(list []outreach.Excluded) (out []siftView, err error) {
	for _, e := range list {
		v := siftView{Why: p.Why(e.Why), Count: e.Count}
		for _, who := range e.First {
			v.Who = append(v.Who, p.called(who))
		}
		if i := slices.IndexFunc(out, func(o siftView) bool { return o.Why == v.Why }); i >= 0 {
			out[i].Count, out[i].Who = out[i].Count+v.Count, append(out[i].Who, v.Who...)
			continue
		}
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(a, b siftView) int { return b.Count - a.Count })
	return out, nil
}

// called is how a contact is named, by its id; a row of a list by its number.
func (p *page) called(who string) string {
	if n, ok := strings.CutPrefix(who, "row "); ok {
		return p.T("ca_row", "n", n)
	}
	c, err := p.site.outreach.Contact(who)
	if err != nil {
		return who
	}
	return p.nameOf(c)
}

// nameOf a contact: whole to who may know the customers.
func (p *page) nameOf(c *outreach.Contact) string {
	if !p.may(numbers) {
		return p.first(called(c))
	}
	return called(c)
}

// Spent is the price of what was handed over.
func (v *campaignView) Spent() string { return sum(v.Cost) }

// Maker is who made it.
func (v *campaignView) Maker() string { return v.by(v.By) }

// ForAndWhen is what somebody should read once more.
func (v *campaignView) ForAndWhen() string { return capital(v.For) + ", " + v.Begins + "." }

// StartWord is the button that cannot be undone: it says what it does.
func (v *campaignView) StartWord() string {
	if v.Channel == outreach.Email {
		return v.T("ca_do_start_mail", "n", v.Preview.People)
	}
	if v.Preview.Cost == "" {
		return v.T("ca_do_start", "n", v.Preview.People, "parts", v.Preview.Parts)
	}
	return v.T("ca_do_start_cost", "n", v.Preview.People, "parts", v.Preview.Parts, "cost", v.Preview.Cost)
}

// siftTable is who gets it and who does not.
type siftTable struct {
	*page
	Chosen, Merged, People int
	For                    string
	Sift                   []siftView
}

// Sifted is the table of a draft or of what was started.
func (v *campaignView) Sifted() siftTable {
	t := siftTable{page: v.page, For: v.For, Sift: v.Sift, Merged: v.Merged, People: v.Recipients}
	if p := v.Preview; p != nil {
		t.Sift, t.Merged, t.People = p.Sift, p.Merged, p.People
	}
	t.Chosen = t.People + t.Merged
	for _, s := range t.Sift {
		t.Chosen += s.Count
	}
	return t
}

// shownView is a text as somebody reads it.
type shownView struct {
	Label, Who, Subject, Text string
	Parts                     int // of an SMS; 0: an e-mail
}

// Shown is the slip of one reader.
func (v *campaignView) Shown(s any, label string) shownView {
	var one outreach.Shown
	switch s := s.(type) {
	case *outreach.Shown:
		one = *s
	case outreach.Shown:
		one = s
	}
	out := shownView{Subject: one.Subject, Text: one.Text, Parts: one.Parts}
	if v.Channel == outreach.Email {
		out.Parts = 0
	}
	if label != "" {
		out.Label = v.T(label)
	}
	if out.Who = v.T("ca_row", "n", one.Row); one.Contact != "" {
		out.Who = v.called(one.Contact)
	}
	return out
}
