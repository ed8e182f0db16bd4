package api

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/webui/api/wire"
	"tillpost/webui/api/wire/reach"
)

// maxBatchBody is a batch of 10,000 rows with their values.
const maxBatchBody = 16 << 20

// campaign reads a campaign of the API into the terms of outreach, which checks
// what it says.
func (a *API) campaign(name string, in reach.CampaignIn) (c outreach.Campaign, err error) {
	c = outreach.Campaign{
		Name: name, Template: in.Template, Texts: in.Texts, Subjects: in.Subjects, CustomText: in.CustomText, Vars: in.Vars,
		Missing: outreach.Missing(in.Missing), Defaults: in.Defaults, Encoding: in.Encoding, MaxParts: in.MaxParts,
		Class: queue.Class(in.Class), Priority: in.Priority, Channel: in.Channel, Pool: in.Pool,
		Audience: in.Audience, Consent: in.Consent, Throttle: in.Throttle, Dedupe: in.Dedupe, Notify: in.Notify, ExternalID: in.ExternalID,
	}
	zone := a.cfg.Location
	if in.When.Zone != "" {
		if zone, err = time.LoadLocation(in.When.Zone); err != nil {
			return c, refusal(http.StatusBadRequest, "unknown_value", "when.tz", fmt.Sprintf("%q is no time zone. Write continent and city, such as Europe/Amsterdam", in.When.Zone))
		}
	}
	c.When = outreach.When{Now: in.When.Now, Event: in.When.Event}
	for _, t := range []struct {
		field, value string
		into         *time.Time
	}{{"when.at", in.When.At, &c.When.At}, {"when.event_start", in.When.EventStart, &c.When.EventStart}, {"when.event_end", in.When.EventEnd, &c.When.EventEnd}} {
		if t.value == "" {
			continue
		}
		if *t.into, err = outreach.Moment(t.field, t.value, in.When.Fold, zone); err != nil {
			return c, err
		}
	}
	if in.When.Offset != "" {
		if c.When.Offset, err = outreach.ParseSpan(in.When.Offset); err != nil {
			return c, refusal(http.StatusBadRequest, "span_invalid", "when.offset", err.Error())
		}
	}
	return c, nil
}

// telling is a campaign in the terms of the API.
func telling(c *outreach.Campaign, rep *outreach.Report) reach.Campaign {
	out := reach.Campaign{
		Name: c.Name, Kind: string(c.Kind), State: string(c.State), Template: c.Template, Texts: c.Texts, Subjects: c.Subjects, Channel: c.Channel, Class: string(c.Class),
		Audience: c.Audience, Consent: c.Consent, Throttle: c.Throttle, ExternalID: c.ExternalID, Till: c.Till, By: c.By,
		Created: c.Created, Updated: c.Updated, Started: clock(c.Started), Due: clock(c.Due), Ended: clock(c.Ended),
		Recipients: c.Recipients, Merged: c.Merged, Excluded: append([]reach.Excluded{}, c.Excluded...), Handed: c.Handed, Refused: c.Refused,
		States: map[string]int{}, Failures: []reach.Failure{},
	}
	if rep != nil {
		out.States, out.Failures = rep.States, rep.Failures
	}
	return out
}

func (a *API) listCampaigns(c *call) (*reply, error) { return a.listKind(c, outreach.KindCampaign) }

func (a *API) listBatches(c *call) (*reply, error) { return a.listKind(c, outreach.KindBatch) }

func (a *API) listKind(c *call, kind outreach.Kind) (*reply, error) {
	after, n, err := pageOf(c)
	if err != nil {
		return nil, err
	}
	list, next, err := a.outreach.Campaigns(kind, after, n)
	out := []reach.Campaign{}
	for i := range list {
		if till := c.who.till(); kind != outreach.KindBatch || till == "" || list[i].Till == till {
			out = append(out, telling(&list[i], list[i].Report))
		}
	}
	return listed(out, next, err)
}

// ours finds the campaign or batch of the path, if the caller may see it.
func (a *API) ours(c *call, kinds ...outreach.Kind) (*outreach.Campaign, *outreach.Report, error) {
	found, rep, err := a.outreach.Progress(cmp.Or(c.r.PathValue("name"), c.r.PathValue("id")))
	if err != nil {
		return nil, nil, err
	}
	till := c.who.till()
	if !slices.Contains(kinds, found.Kind) || found.Kind == outreach.KindBatch && till != "" && found.Till != till && !c.who.may(Manage) {
		return nil, nil, outreach.ErrNotFound
	}
	return found, rep, nil
}

func (a *API) getCampaign(c *call) (*reply, error) {
	return a.showCampaign(c, outreach.KindCampaign, outreach.KindRun)
}

func (a *API) getBatch(c *call) (*reply, error) { return a.showCampaign(c, outreach.KindBatch) }

func (a *API) showCampaign(c *call, kinds ...outreach.Kind) (*reply, error) {
	found, rep, err := a.ours(c, kinds...)
	if err != nil {
		return nil, err
	}
	return answer(http.StatusOK, telling(found, rep))
}

func (a *API) putCampaign(c *call) (*reply, error) {
	var in reach.CampaignIn
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	draft, err := a.campaign(c.r.PathValue("name"), in)
	if err != nil {
		return nil, err
	}
	saved, err := a.outreach.PutCampaign(c.ctx, draft, c.who.by)
	if err != nil {
		return nil, err
	}
	return answer(http.StatusOK, telling(saved, nil))
}

func (a *API) deleteCampaign(c *call) (*reply, error) {
	if _, _, err := a.ours(c, outreach.KindCampaign, outreach.KindRun); err != nil {
		return nil, err
	}
	return done(a.outreach.DeleteCampaign(c.ctx, c.r.PathValue("name")))
}

func (a *API) previewCampaign(c *call) (*reply, error) {
	found, _, err := a.ours(c, outreach.KindCampaign)
	if err != nil {
		return nil, err
	}
	p, err := a.outreach.Preview(found)
	if err != nil {
		return nil, err
	}
	out := reach.CampaignPreview{
		Recipients: p.Recipients, Merged: p.Merged, Excluded: p.Excluded, Refused: p.Refused, Messages: p.Messages, Parts: p.Parts,
		ByParts: p.ByParts, UCS2: p.UCS2, Total: []wire.Price{}, Unpriced: p.Unpriced, Shortest: p.Shortest, Longest: p.Longest,
		First: p.First, Replaced: p.Replaced, Fields: p.Fields, Unknown: p.Unknown, Estimate: estimated(p.Estimate),
	}
	for _, sum := range p.Total {
		out.Total = append(out.Total, *price(sum))
	}
	return answer(http.StatusOK, out)
}

func estimated(e outreach.Estimate) reach.Estimate {
	return reach.Estimate{FirstAt: clock(e.FirstAt), LastAt: clock(e.LastAt), Within: e.Within, Warnings: e.Warnings}
}

func (a *API) testCampaign(c *call) (*reply, error) {
	var in reach.CampaignTest
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if strings.TrimSpace(in.To) == "" {
		return nil, refusal(http.StatusBadRequest, "number_empty", "to", "say to whom the test goes: to is a phone number such as +31612345678")
	}
	found, _, err := a.ours(c, outreach.KindCampaign)
	if err != nil {
		return nil, err
	}
	var sample *outreach.Recipient
	if in.Contact != "" || len(in.Vars) > 0 {
		sample = &outreach.Recipient{Contact: in.Contact, Vars: in.Vars}
	}
	m, err := a.outreach.Test(c.ctx, found, in.To, sample, c.who.by)
	if err != nil {
		return nil, err
	}
	return a.accepted(c, m)
}

func (a *API) startCampaign(c *call) (*reply, error) {
	s, err := a.outreach.Start(c.ctx, c.r.PathValue("name"), c.who.by)
	if err != nil {
		return nil, err
	}
	return begun(s)
}

func begun(s *outreach.Started) (*reply, error) {
	return answer(http.StatusAccepted, reach.Started{ID: s.Campaign.Name, Campaign: telling(s.Campaign, nil), Errors: s.Errors, Estimate: estimated(s.Estimate)})
}

// steer does to a campaign, to the run of a rule or to a batch what a button says.
func (a *API) steer(c *call, do func(ctx context.Context, name, by string) (*outreach.Campaign, error)) (*reply, error) {
	kinds := []outreach.Kind{outreach.KindCampaign, outreach.KindRun}
	if c.r.PathValue("id") != "" {
		kinds = []outreach.Kind{outreach.KindBatch}
	}
	found, _, err := a.ours(c, kinds...)
	if err != nil {
		return nil, err
	}
	if found, err = do(c.ctx, found.Name, c.who.by); err != nil {
		return nil, err
	}
	return answer(http.StatusOK, telling(found, nil))
}

func (a *API) pauseCampaign(c *call) (*reply, error)  { return a.steer(c, a.outreach.Pause) }
func (a *API) resumeCampaign(c *call) (*reply, error) { return a.steer(c, a.outreach.Resume) }
func (a *API) stopCampaign(c *call) (*reply, error)   { return a.steer(c, a.outreach.Stop) }

// recipients lists who is on a campaign's list and what became of each: as
// JSON, or to print (?format=csv).
func (a *API) recipients(c *call) (*reply, error) {
	after, n, err := pageOf(c, "format")
	if err != nil {
		return nil, err
	}
	found, _, err := a.ours(c, outreach.KindCampaign, outreach.KindRun, outreach.KindBatch)
	if err != nil {
		return nil, err
	}
	if c.r.URL.Query().Get("format") == "csv" {
		return nil, a.printList(c, found)
	}
	from := 0
	if after != "" {
		if from, err = strconv.Atoi(after); err != nil || from < 0 {
			return nil, refusal(http.StatusBadRequest, "cursor_invalid", "after", "after must be the next of an earlier answer. Leave it out to begin")
		}
	}
	list, next, err := a.outreach.Recipients(found.Name, from, n)
	cursor := ""
	if next > 0 {
		cursor = strconv.Itoa(next)
	}
	return listed(list, cursor, err)
}

// printList writes the list as a file. Of a draft it is whom it would go to.
func (a *API) printList(c *call, found *outreach.Campaign) error {
	h := c.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", found.Name+".csv"))
	h.Set("Cache-Control", "no-store")
	out := csv.NewWriter(c.w)
	out.Comma = ';'
	if err := out.Write([]string{"contact", "name", "number", "state", "why", "message"}); err != nil {
		return nil // the caller has gone
	}
	err := a.outreach.EachRecipient(found, func(r outreach.ListedRecipient) error {
		return out.Write(safeCells(r.Contact, r.Name, r.Number, r.State, r.Why, r.Message))
	})
	out.Flush()
	if err != nil {
		a.log.Debug("a list was not read to its end", "err", err)
	}
	return nil
}

// safeCells keeps a spreadsheet from reading a cell as a formula (contract.md).
func safeCells(cells ...string) []string {
	for i, s := range cells {
		if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
			cells[i] = "'" + s
		}
	}
	return cells
}

// postBatch takes a list with what is to be said to it.
func (a *API) postBatch(c *call) (*reply, error) {
	in, rows, err := a.batch(c)
	if err != nil {
		return nil, err
	}
	one, err := a.campaign("", in.CampaignIn)
	if err != nil {
		return nil, err
	}
	one.Limits = c.who.limits()
	if !in.Audience.IsZero() {
		return nil, refusal(http.StatusBadRequest, "field_not_here", "audience", "a batch brings its own recipients. Leave audience out, or make a campaign of it")
	}
	s, err := a.outreach.Batch(c.ctx, one, rows, in.AllOrNothing, c.who.by)
	if err != nil {
		return nil, err
	}
	return begun(s)
}

// batch reads the call: JSON, or the list as a file with the rest in the query.
func (a *API) batch(c *call) (in reach.BatchIn, rows []outreach.Recipient, err error) {
	if !c.isCSV() {
		if err := c.decode(&in); err != nil {
			return in, nil, err
		}
		for _, r := range in.Recipients {
			rows = append(rows, outreach.Recipient{To: r.To, Contact: r.Contact, Lang: r.Lang, Ref: r.Ref, Vars: r.Vars, Consents: r.Consents, Proof: r.Consent})
		}
		return in, rows, nil
	}
	if in, err = a.batchQuery(c.r.URL.Query()); err != nil {
		return in, nil, err
	}
	raw, err := c.read()
	if err != nil {
		return in, nil, err
	}
	f, err := outreach.ReadFile(raw)
	if err != nil {
		return in, nil, err
	}
	rows, own, err := f.Recipients(in.Channel)
	if err != nil {
		return in, nil, err
	}
	if in.Template == "" && in.Texts == nil && own {
		rowsOwn(&in, a.cfg.Language)
	}
	return in, rows, nil
}

// rowsOwn: each row brings its own text, so that the list is many messages and
// no mailing. A file that is dropped is read in the same way.
func rowsOwn(in *reach.BatchIn, lang string) {
	class := queue.Class(in.Class)
	in.Texts, in.Dedupe = outreach.OwnTexts(lang, &class, in.Dedupe)
	in.Class = string(class)
}

// How the options of a list stand in the query of a call whose body is the file:
// by the names that they have in JSON, those of when beside the others, and what
// is an object there as JSON here, too.
var batchParams = map[string]string{
	"template": "text", "custom_text": "text", "missing": "text", "encoding": "text", "class": "text", "channel": "text", "pool": "text", "external_id": "text",
	"max_parts": "json", "priority": "json", "dedupe": "json", "all_or_nothing": "json",
	"texts": "json", "subjects": "json", "vars": "json", "defaults": "json", "consent": "json", "throttle": "json", "notify": "json",
	"now": "when json", "fold": "when json", "at": "when text", "event": "when text", "event_start": "when text", "event_end": "when text", "offset": "when text", "tz": "when text",
}

// batchQuery reads them. text, subject and text_lang are those of one language.
func (a *API) batchQuery(q url.Values) (in reach.BatchIn, err error) {
	if err := only(q, append(slices.Collect(maps.Keys(batchParams)), "text", "subject", "text_lang")...); err != nil {
		return in, err
	}
	when, all := map[string]any{}, map[string]any{}
	for name, how := range batchParams {
		value := q.Get(name)
		if value == "" {
			continue
		}
		kind, timed := strings.CutPrefix(how, "when ")
		into := all
		if timed {
			into = when
		}
		if into[name] = value; kind == "json" {
			if !json.Valid([]byte(value)) {
				return in, refusal(http.StatusBadRequest, "json_invalid", name, fmt.Sprintf("%s is written as in JSON: true, 3, or {\"burst\": 50, \"burst_pause_s\": 60}", name))
			}
			into[name] = json.RawMessage(value)
		}
	}
	if len(when) > 0 {
		all["when"] = when
	}
	raw, err := json.Marshal(all)
	if err != nil {
		return in, err
	}
	if err := decodeJSON(raw, &in); err != nil {
		return in, err
	}
	lang := cmp.Or(q.Get("text_lang"), a.cfg.Language)
	for _, one := range []struct {
		value string
		into  *map[string]string
	}{{q.Get("text"), &in.Texts}, {q.Get("subject"), &in.Subjects}} {
		if one.value == "" {
			continue
		}
		if *one.into == nil {
			*one.into = map[string]string{}
		}
		(*one.into)[lang] = one.value
	}
	return in, nil
}

// batchMessages lists the messages of a batch, in the order of its rows.
func (a *API) batchMessages(c *call) (*reply, error) {
	after, n, err := pageOf(c)
	if err != nil {
		return nil, err
	}
	found, _, err := a.ours(c, outreach.KindBatch)
	if err != nil {
		return nil, err
	}
	from := 0
	if after != "" {
		if from, err = strconv.Atoi(after); err != nil || from < 0 {
			return nil, refusal(http.StatusBadRequest, "cursor_invalid", "after", "after must be the next of an earlier answer. Leave it out to begin")
		}
	}
	list, next, err := a.outreach.Recipients(found.Name, from, n)
	if err != nil {
		return nil, err
	}
	page := wire.Page[wire.Message]{Items: []wire.Message{}}
	for _, r := range list {
		if r.Msg == 0 {
			continue
		}
		m, err := a.queue.Get(r.Msg)
		if err != nil {
			continue // its time is over
		}
		told, err := a.tellNow(c, m)
		if err != nil {
			return nil, err
		}
		page.Items = append(page.Items, told)
	}
	if next > 0 {
		page.Next = strconv.Itoa(next)
	}
	return answer(http.StatusOK, page)
}

func (a *API) pauseBatch(c *call) (*reply, error)  { return a.steer(c, a.outreach.Pause) }
func (a *API) resumeBatch(c *call) (*reply, error) { return a.steer(c, a.outreach.Resume) }
func (a *API) cancelBatch(c *call) (*reply, error) { return a.steer(c, a.outreach.Stop) }
