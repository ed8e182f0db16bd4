package webui

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/queue/text"
)

// campaignForm is a draft as a person fills it in.
type campaignForm struct {
	*page
	Was      string // name of the draft that is changed; empty: a new one
	Name     string
	Say      string // template | own
	Template string
	Texts    []langText
	Custom   string // fills # CUSTOMTEXT #
	Missing  string // refuse | leave_out, of own texts
	Channel  string
	Class    queue.Class
	Aud      audienceForm
	Consent  consentForm
	When     string // now | at | event | kept
	At       string // as the browser writes it
	Event    string
	Span     spanForm
	Burst    string
	Pause    string
	Gap      string
	Each     bool // one message for each number
	Tell     string
	Wrong    []string

	Templates []string
	was       *outreach.Campaign // of which what the form cannot say is kept
}

// langText is a text in one language; an e-mail has a subject, too.
type langText struct{ Lang, Text, Subject string }

// maxListForm is a form with a list of 10,000 rows.
const maxListForm = 8 << 20

// formWithFile reads a form that may bring a file.
func formWithFile(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxListForm)
	err := r.ParseMultipartForm(1 << 20)
	if errors.Is(err, http.ErrNotMultipart) {
		err = nil // it brings none
	}
	if err != nil {
		return fmt.Errorf("webui: the form cannot be read: %w", err)
	}
	return nil
}

func (s *Site) newCampaignForm(r *http.Request) (*campaignForm, error) {
	p := s.customers(r, "campaigns")
	f := &campaignForm{page: p, Say: "template", Channel: outreach.SMS, Class: queue.Marketing, When: "now", Each: true, Missing: string(outreach.Refuse)}
	f.Aud = audienceForm{page: p, Who: "some", Join: "all", Lists: true, Booked: true, With: bookedForm{Field: "product"}, Without: bookedForm{Field: "product"}}
	f.Consent = consentForm{page: p, Consent: "usual"}
	f.Span = spanForm{N: "3", Unit: "hours", Side: "before"}
	for _, lang := range queue.Languages {
		f.Texts = append(f.Texts, langText{Lang: lang})
	}
	var err error
	if f.Templates, err = s.templateNames(); err != nil {
		return nil, err
	}
	if len(f.Templates) == 0 {
		f.Say = "own"
	}
	if f.Aud.Events, err = s.events(p); err != nil {
		return nil, err
	}
	f.Aud.Conds = condsForm{page: p, Name: "c"}
	f.Aud.Conds.Fields, err = s.contactFields()
	return f, err
}

// templateNames are those that are finished.
func (s *Site) templateNames() (names []string, err error) {
	for after := ""; ; {
		list, next, err := s.outreach.Templates(after, 1000)
		if err != nil {
			return nil, err
		}
		for _, t := range list {
			if !t.Draft {
				names = append(names, t.Name)
			}
		}
		if next == "" {
			return names, nil
		}
		after = next
	}
}

// events that begin from a while ago on, to choose from.
func (s *Site) events(p *page) (list []eventView, err error) {
	const most = 500
	found, _, err := s.outreach.Between(true, p.Now.AddDate(0, -1, 0), p.Now.AddDate(2, 0, 0), most)
	for i := range found {
		b := &found[i]
		if b.Status != outreach.Cancelled {
			list = append(list, eventView{ID: b.ID, Name: bookingTitle(b), At: p.Clock(b.Start)})
		}
	}
	return list, err
}

// contactFields are what a condition may ask, as far as a second shows.
func (s *Site) contactFields() ([]string, error) {
	known, err := s.outreach.KnownNames(time.Second)
	if err != nil {
		return nil, err
	}
	return slices.Concat(known.Fields, known.Attributes), nil
}

func (s *Site) newCampaign(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	f, err := s.newCampaignForm(r)
	if err == nil {
		if like := r.URL.Query().Get("like"); like != "" {
			var c *outreach.Campaign
			if c, err = s.outreach.Campaign(like); err == nil {
				f.fill(c)
				f.Was, f.When, f.At = "", "now", ""
				f.Name = like + "-2"
			}
		}
	}
	s.show(w, r, "campaign-form", f, err)
}

func (s *Site) editCampaign(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	f, err := s.newCampaignForm(r)
	if err == nil {
		var c *outreach.Campaign
		if c, err = s.outreach.Campaign(r.PathValue("name")); err == nil && c.State != outreach.CampaignDraft {
			err = queue.ErrNotFound // it has gone out meanwhile
		}
		if err == nil {
			f.fill(c)
		}
	}
	s.show(w, r, "campaign-form", f, err)
}

// fill shows a campaign that is there.
func (f *campaignForm) fill(c *outreach.Campaign) {
	f.was = c
	f.Was, f.Name, f.Template, f.Custom, f.Class, f.Channel = c.Name, c.Name, c.Template, c.CustomText, c.Class, c.Channel
	f.Missing = cmp.Or(string(c.Missing), f.Missing)
	if f.Say = "template"; c.Template == "" {
		f.Say = "own"
	}
	for i := range f.Texts {
		f.Texts[i].Text, f.Texts[i].Subject = c.Texts[f.Texts[i].Lang], c.Subjects[f.Texts[i].Lang]
	}
	f.Aud.fill(c.Audience)
	if c.Listed > 0 && c.State == outreach.CampaignDraft {
		f.Aud.Who, f.Aud.Listed = "list", c.Listed
	}
	f.Consent.fill(c.Consent, c.Class)
	f.fillWhen(&c.When)
	if c.Throttle.Burst > 0 {
		f.Burst, f.Pause = strconv.Itoa(c.Throttle.Burst), seconds(c.Throttle.Pause)
	}
	if c.Throttle.Gap > 0 {
		f.Gap = seconds(c.Throttle.Gap)
	}
	f.Each = c.Dedupe == nil || *c.Dedupe
	f.Tell = tellWords(&c.Notify)
}

func (f *campaignForm) fillWhen(w *outreach.When) {
	switch {
	case !w.At.IsZero():
		f.When, f.At = "at", f.in(w.At).Format(fieldTime)
	case w.Offset.IsZero():
		f.When = "now"
	case w.Event == "" || !f.Span.fill(w.Offset):
		f.When = "kept"
	default:
		f.When, f.Event = "event", w.Event
	}
}

// Kept says when in words what the form cannot.
func (f *campaignForm) Kept() string {
	if f.was == nil {
		return ""
	}
	return f.whenWords(&f.was.When)
}

func seconds(s float64) string { return strconv.FormatFloat(s, 'f', -1, 64) }

// fieldTime is how browsers write a day and a time.
const fieldTime = "2006-01-02T15:04"

// saveCampaign keeps the draft and shows what it comes to.
func (s *Site) saveCampaign(w http.ResponseWriter, r *http.Request) {
	if err := formWithFile(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	if r.MultipartForm != nil {
		defer func() { _ = r.MultipartForm.RemoveAll() }() // the system empties the folder, too
	}
	f, err := s.newCampaignForm(r)
	if err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	f.Was = r.PostForm.Get("was")
	if f.Was != "" {
		if f.was, err = s.outreach.Campaign(f.Was); err != nil {
			s.show(w, r, "", nil, err)
			return
		}
		f.Path = "/campaigns/" + f.Was + "/edit"
	}
	f.read(r.PostForm)
	if strings.HasPrefix(r.PostForm.Get("do"), "row ") {
		s.render(w, http.StatusOK, "campaign-form", f)
		return
	}
	list, err := f.list(r)
	if err == nil {
		err = f.save(r, list)
	}
	if said, ok := f.wrongWith(err); err != nil && ok {
		f.Wrong = append(f.Wrong, said)
	} else if err != nil {
		s.trouble(w, f.page, err)
		return
	}
	if len(f.Wrong) > 0 {
		s.render(w, http.StatusBadRequest, "campaign-form", f)
		return
	}
	s.reports.forget(f.Name)
	http.Redirect(w, r, "/campaigns/"+url.PathEscape(f.Name), http.StatusSeeOther)
}

func (f *campaignForm) read(v url.Values) {
	if f.Name = f.Was; f.Name == "" { // the name of a draft stays
		f.Name = nameFrom(v.Get("name"))
	}
	f.Say, f.Template = v.Get("say"), v.Get("template")
	f.Custom, f.Missing = strings.TrimSpace(strings.ReplaceAll(v.Get("custom"), "\r\n", "\n")), v.Get("missing")
	for i, t := range f.Texts {
		f.Texts[i].Text = strings.TrimSpace(strings.ReplaceAll(v.Get("text_"+t.Lang), "\r\n", "\n"))
		f.Texts[i].Subject = strings.TrimSpace(v.Get("subject_" + t.Lang))
	}
	f.Channel = cmp.Or(v.Get("channel"), outreach.SMS)
	if f.Class = queue.Marketing; v.Get("class") == string(queue.Transactional) {
		f.Class = queue.Transactional
	}
	f.Aud.read(v)
	f.Consent.read(v)
	f.When, f.At, f.Event = v.Get("when"), v.Get("at"), v.Get("event")
	f.Span.read(v)
	f.Burst, f.Pause, f.Gap = strings.TrimSpace(v.Get("burst")), strings.TrimSpace(v.Get("pause")), strings.TrimSpace(v.Get("gap"))
	f.Each, f.Tell = v.Get("each") == "on", v.Get("tell")
	if f.was != nil {
		f.Aud.Listed = f.was.Listed
	}
}

// list that was pasted or came as a file; nil: none.
func (f *campaignForm) list(r *http.Request) (list []outreach.Recipient, err error) {
	if f.Aud.Who != "list" {
		return nil, nil
	}
	raw := []byte(f.Aud.List)
	if r.MultipartForm != nil && len(r.MultipartForm.File["file"]) > 0 {
		head := r.MultipartForm.File["file"][0]
		file, err := head.Open()
		if err != nil {
			return nil, fmt.Errorf("webui: the file cannot be read: %w", err)
		}
		defer file.Close()
		if head.Size > 0 {
			if raw, err = io.ReadAll(file); err != nil {
				return nil, fmt.Errorf("webui: the file cannot be read: %w", err)
			}
		}
	}
	if strings.TrimSpace(string(raw)) == "" {
		return nil, nil
	}
	if plain := plainNumbers(string(raw)); plain != nil {
		return plain, nil
	}
	file, err := outreach.ReadFile(raw)
	if err != nil {
		return nil, err
	}
	list, _, err = file.Recipients(f.Channel)
	return list, err
}

// plainNumbers reads a list that is nothing but numbers, or e-mail addresses, as
// people paste it; nil: it is more.
func plainNumbers(s string) (list []outreach.Recipient) {
	for line := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '\n' || r == '\r' || r == ',' || r == ';' || r == '\t' }) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if onlyDigits(line) == "" && !text.IsAddress(line) {
			return nil
		}
		list = append(list, outreach.Recipient{To: line})
	}
	return list
}

// save gives the draft to outreach. A new one takes no name that is in use.
func (f *campaignForm) save(r *http.Request, list []outreach.Recipient) error {
	c, err := f.campaign()
	if err != nil {
		return err
	}
	o := f.site.outreach
	if f.Was == "" && f.Name != "" {
		if _, err := o.Campaign(f.Name); err == nil {
			f.Wrong = append(f.Wrong, f.T("no_name_taken", "name", f.Name))
		} else if !errors.Is(err, queue.ErrNotFound) {
			return err
		}
	}
	switch {
	case len(f.Wrong) > 0:
		return nil
	case f.Aud.Who == "list" && (list != nil || f.Aud.Listed == 0):
		_, err = o.PutList(r.Context(), c, list, f.till())
	default:
		if f.Aud.Who == "list" {
			c.Listed = f.Aud.Listed
		}
		_, err = o.PutCampaign(r.Context(), c, f.till())
	}
	return err
}

// campaign in the terms of outreach, which checks what it says; what only the
// page can know to be wrong goes to Wrong.
func (f *campaignForm) campaign() (c outreach.Campaign, err error) {
	if f.was != nil {
		c = *f.was // what the form does not ask stays
	}
	c.Name, c.Channel, c.Class, c.CustomText = f.Name, f.Channel, f.Class, f.Custom
	c.Template, c.Texts, c.Subjects, c.Missing, c.Listed = "", nil, nil, "", 0
	if f.Say == "own" {
		c.Texts, c.Subjects, c.Missing = map[string]string{}, map[string]string{}, outreach.Missing(f.Missing)
		for _, t := range f.Texts {
			if t.Text != "" {
				c.Texts[t.Lang] = t.Text
			}
			if t.Subject != "" && f.Channel == outreach.Email {
				c.Subjects[t.Lang] = t.Subject
			}
		}
		maps.DeleteFunc(c.Defaults, func(string, string) bool { return c.Missing != outreach.Default })
	} else {
		c.Template, c.Defaults = f.Template, nil
	}
	was := c.Audience
	c.Audience, c.Consent = f.Aud.audience(was), f.Consent.policy()
	if c.When, err = f.when(c.When); err != nil {
		return c, err
	}
	c.Throttle = outreach.Throttle{Burst: f.whole(f.Burst), Pause: f.number(f.Pause), Gap: f.number(f.Gap)}
	c.Dedupe = &f.Each
	c.Notify = tellOf(f.Tell, c.Notify)
	return c, nil
}

// when in the terms of outreach. was is the one that the form cannot say.
func (f *campaignForm) when(was outreach.When) (w outreach.When, err error) {
	switch f.When {
	case "kept":
		return was, nil
	case "at":
		w.At, err = outreach.Moment("when.at", f.At, 0, f.site.cfg.Location)
		return w, err
	case "event":
		var ok bool
		if w.Offset, ok = f.Span.span(); !ok || f.Event == "" {
			f.Wrong = append(f.Wrong, f.T("no_event"))
		}
		w.Event = f.Event
		return w, nil
	}
	w.Now = true
	return w, nil
}

// whole and number read a field of the throttle; empty is none.
func (f *campaignForm) whole(s string) int {
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		f.Wrong = append(f.Wrong, f.T("no_range", "what", s))
	}
	return n
}

func (f *campaignForm) number(s string) float64 {
	if s == "" {
		return 0
	}
	n, err := strconv.ParseFloat(strings.Replace(s, ",", ".", 1), 64)
	if err != nil {
		f.Wrong = append(f.Wrong, f.T("no_range", "what", s))
	}
	return n
}

// Mails: the box has a way out for e-mail.
func (p *page) Mails() bool { return p.site.queue.HasMail() }

// tellWords are whom somebody wants told, numbers and an e-mail address.
func tellWords(n *outreach.Notify) string {
	return strings.Join(filled(append(slices.Clone(n.SMS), n.Email)...), ", ")
}

// tellOf reads them.
func tellOf(s string, was outreach.Notify) outreach.Notify {
	was.SMS, was.Email = nil, ""
	for _, one := range commas(s) {
		if strings.Contains(one, "@") {
			was.Email = one
		} else {
			was.SMS = append(was.SMS, one)
		}
	}
	return was
}

// nameFrom makes a name that can stand in an address of what a person calls
// something: "Frühjahrs-Check 2027" is Fruhjahrs-Check-2027.
func nameFrom(s string) string {
	var b strings.Builder
	gap := false
	for _, r := range norm.NFD.String(plainLetters.Replace(strings.TrimSpace(s))) {
		switch {
		case unicode.Is(unicode.Mn, r): // the dots of an ü
		case r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.", r)):
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(r)
		default:
			gap = true
		}
	}
	return strings.TrimLeft(b.String(), ".-")
}

// plainLetters are those that are no letter with a mark.
var plainLetters = strings.NewReplacer("ß", "ss", "æ", "ae", "Æ", "Ae", "ø", "o", "Ø", "O")

// InSight says which texts are in sight: those that say something, else the
// shop's.
func (f *campaignForm) InSight(lang string) bool {
	if slices.ContainsFunc(f.Texts, func(t langText) bool { return t.Text != "" }) {
		return slices.ContainsFunc(f.Texts, func(t langText) bool { return t.Lang == lang && t.Text != "" })
	}
	return lang == f.site.cfg.Language
}
