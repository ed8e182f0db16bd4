package webui

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tillpost/queue"
	"tillpost/queue/hook"
	"tillpost/queue/outreach"
	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
	"tillpost/webui/api"
	"tillpost/webui/api/wire"
	"tillpost/webui/door"
	"tillpost/webui/recent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is a running box with its page.
type shop struct {
	t       *testing.T
	site    *Site
	queue   *queue.Queue
	db      *store.DB
	dir     string
	codes   []string     // as the console showed them
	changed atomic.Int64 // times that other settings were stored
	log     bytes.Buffer
	url     string // of a server on the loopback
}

const password = "drie losse woorden"

// openShop starts a box over the given routes. It is closed with the test.
func openShop(t *testing.T, routes ...route.Route) *shop {
	t.Helper()
	s := &shop{t: t, dir: t.TempDir()}
	db, err := store.Open(store.Options{Path: filepath.Join(s.dir, "box.db"), NoSync: true}, slices.Concat(queue.Schema(), Schema())...)
	if err != nil {
		t.Fatal(err)
	}
	s.db = db
	if s.queue, err = queue.New(queue.Config{DB: db, Country: "NL", Location: time.UTC, DrainWait: time.Second, Steward: outreach.Steward()}); err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if err := s.queue.Attach(r, ""); err != nil {
			t.Fatal(err)
		}
	}
	kept := recent.New(slog.NewTextHandler(&s.log, nil), 100)
	s.site, err = New(Config{
		Queue: s.queue, DB: db, DataDir: s.dir, Location: time.UTC, Version: "1.0", Hostnames: []string{"kassa.example"},
		Log: slog.New(kept), Recent: kept, Stored: s.settings(), Announce: func(code string) { s.codes = append(s.codes, code) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- s.queue.Run(ctx) }()
	go func() { ended <- s.site.Run(ctx) }()
	srv := httptest.NewServer(s.site)
	s.url = srv.URL
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		srv.Close()
		if err := errors.Join(db.Check(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// settings of the shop, as whoever wires a box gives them.
func (s *shop) settings() *api.Settings {
	usual := []wire.Setting{
		{Key: "data_dir", Value: "/var/lib/tillpost", Origin: wire.OriginDefault, Fixed: true}, {Key: "timezone", Value: "UTC", Origin: wire.OriginFile},
		{Key: "country", Value: "NL", Origin: wire.OriginDefault}, {Key: "language", Value: "en", Origin: wire.OriginDefault},
		{Key: "limits.max_parts", Value: 6, Origin: wire.OriginDefault}, {Key: "limits.countries", Value: []string{}, Origin: wire.OriginDefault},
		{Key: "quiet_hours.enabled", Value: true, Origin: wire.OriginDefault},
	}
	return &api.Settings{
		List: func() []wire.Setting {
			stored, err := api.Stored(s.db)
			if err != nil {
				s.t.Error(err)
			}
			list := slices.Clone(usual)
			for i := range list {
				if raw, ok := stored[list[i].Key]; ok {
					list[i].Origin = wire.OriginStore
					if err := json.Unmarshal(raw, &list[i].Value); err != nil {
						s.t.Error(err)
					}
				}
			}
			return list
		},
		Check: func(stored map[string]json.RawMessage) error {
			if n := string(stored["limits.max_parts"]); n != "" && n != "4" {
				return &wire.Problem{Status: 400, Code: "setting_invalid", Field: "limits.max_parts", Detail: "limits.max_parts: must be at most 255"}
			}
			return nil
		},
		Changed: func() { s.changed.Add(1) },
	}
}

// dressed is a fake that looks like a modem or a provider.
type dressed struct {
	*routetest.Fake
	as route.Status
}

func (d *dressed) Run(ctx context.Context, sink route.Sink) error {
	return d.Fake.Run(ctx, &dressing{sink, d.as})
}

type dressing struct {
	route.Sink
	as route.Status
}

func (d *dressing) Changed(s route.Status) {
	as := d.as
	as.Route, as.State, as.Code, as.Detail, as.Since = s.Route, s.State, s.Code, s.Detail, s.Since
	if s.State == route.Hand {
		as.Signal, as.Operator = nil, ""
	}
	d.Sink.Changed(as)
}

func modem(name, iccid, operator string, dBm int) *dressed {
	f := routetest.NewFake(name)
	f.SetIdentity(iccid)
	return &dressed{f, route.Status{
		Kind: "modem", Identity: iccid, Lanes: 1, Operator: operator, Tech: "LTE",
		Signal: &dBm, Model: "Quectel EC25-E", Device: "867962041234567", Port: "/dev/ttyUSB2",
	}}
}

func provider(name string) *dressed {
	f := routetest.NewFake(name)
	f.SetIdentity("rijwiel-linde/SHOP")
	f.SetLanes(20)
	return &dressed{f, route.Status{Kind: "smpp", Identity: "rijwiel-linde/SHOP", Lanes: 20, Port: "192.0.2.10:2775"}}
}

// browser keeps cookies and follows redirects, as people's do.
type browser struct {
	t    *testing.T
	http *http.Client
	base string
}

func (s *shop) browser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, base: s.url, http: &http.Client{Jar: jar}}
	t.Cleanup(b.http.CloseIdleConnections)
	return b
}

func (b *browser) read(resp *http.Response, err error) (*http.Response, string) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp, string(body)
}

func (b *browser) get(path string) (*http.Response, string) {
	b.t.Helper()
	return b.read(b.http.Get(b.base + path))
}

func (b *browser) post(path string, fields ...string) (*http.Response, string) {
	b.t.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		v.Set(fields[i], fields[i+1])
	}
	return b.read(b.http.PostForm(b.base+path, v))
}

func (s *shop) add(to, text string) *queue.Message {
	s.t.Helper()
	m, err := s.queue.Add(s.t.Context(), queue.Draft{Till: "till-1", To: to, Text: text})
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// until waits for a condition, at most ten seconds.
func until(t *testing.T, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to pass")
		}
	}
}

func (s *shop) becomes(id queue.ID, state queue.State) {
	s.t.Helper()
	until(s.t, func() bool {
		m, err := s.queue.Get(id)
		if err != nil {
			s.t.Fatal(err)
		}
		return m.State == state
	})
}

const longText = "Goedemiddag mevrouw De Vries, uw fiets is nagekeken en klaar. De foto’s van de slijtage staan bij de kassa. De kosten zijn € 84,50. Ophalen kan vandaag tot 18:00 en zaterdag van 9:00 tot 17:00. Rijwielhuis De Linde"

// furnished is a shop with three ways out after a lively minute: most arrived,
// one was refused, of one the answer was lost.
type furnished struct {
	*shop
	window              *dressed
	refused, lost, long *queue.Message
	asked               uint64 // in the inbox: a reply that a person must decide
}

func furnish(t *testing.T) *furnished {
	t.Helper()
	counter := newHandy("Counter")
	ways := []*dressed{counter.dressed, modem("Window", "8931000000000000926", "Polder Telecom", -88), provider("Provider")}
	for _, w := range ways {
		w.AutoReport(300 * time.Millisecond)
		w.ScriptFor("+31612345007", routetest.Refuse)
		w.ScriptFor("+31612345008", routetest.Accept, routetest.Swallow)
		w.Patience(200 * time.Millisecond)
	}
	f := &furnished{shop: openShop(t, counter, ways[1], ways[2]), window: ways[1]}
	if err := f.site.SetPassword(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	for i, text := range []string{"Uw fiets is klaar. Ophalen kan tot 18:00.", "Herinnering: morgen om 10:30 onderhoudsbeurt. Kunt u niet? Antwoord NEE.", longText} {
		for n := range 5 {
			f.long = f.add(fmt.Sprintf("061234%d%03d", i+1, n), text)
		}
	}
	f.refused, f.lost = f.add("0612345007", "Wilt u ons even bellen over uw fiets?"), f.add("0612345008", longText)
	f.becomes(f.refused.ID, queue.Failed)
	f.becomes(f.lost.ID, queue.Unknown)
	f.becomes(f.long.ID, queue.Delivered)
	says(t, counter.Fake, "+31612341000", "Dank! Kan het ook morgen om tien uur?")
	says(t, counter.Fake, "+31612341001", "Stop met die onzin")
	until(t, func() bool {
		list, _, err := f.queue.Inbox(0, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 2 {
			f.asked = list[0].Seq
		}
		return len(list) == 2
	})
	if err := f.site.door.SetPerson(t.Context(), door.Person{Name: "Sanne", Role: door.Manager}, herPassword); err != nil {
		t.Fatal(err)
	}
	if _, err := f.site.API.AddKey(t.Context(), "till-1", []api.Scope{api.Send}, "test"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.site.API.Hooks().Set(t.Context(), hook.Hook{Name: "software", URL: "https://software.example/hook", Off: true}); err != nil {
		t.Fatal(err)
	}
	f.register()
	return f
}

func TestEveryPageInEveryLanguage(t *testing.T) {
	s := furnish(t)
	b := s.browser(t)
	if resp, body := b.post("/login", "password", password); resp.Request.URL.Path != "/" {
		t.Fatalf("login led to %s\n%s", resp.Request.URL, body)
	}
	for _, path := range []string{
		"/?", "/messages?", "/messages?state=failed&", "/messages?state=cancelled&", "/messages?q=herinnering&", "/write?", "/inbox?", "/inbox/" + itoa(s.asked) + "?",
		"/settings?", "/settings/values?", "/settings/keys?", "/settings/people?", "/settings/email?", "/settings/hooks?", "/settings/hooks/software?", "/settings/log?", "/settings/backup?", "/ways/Counter?", "/ways/Provider?", "/manual?", "/setup/place?", "/setup/modem?", "/setup/pin?", "/setup/test?", "/contacts?", "/contacts?who=withdrawn&", "/contacts?q=zebra&", "/contacts/new?", "/texts?", "/texts/winterbeurt?", "/texts/klaar?channel=email&in=sv&", "/contacts/import?", s.brought(customers, nil) + "?", "/contact/D1001?", "/contact/D1001/edit?", "/contact/D1001/erase?", "/manual/customers?", "/manual/outreach?", "/manual/technicians?", "/manual/tills?", "/manual/failures?",
		"/messages/" + s.lost.ID.String() + "?", "/messages/" + s.refused.ID.String() + "?", "/messages/" + s.long.ID.String() + "?",
	} {
		for _, lang := range queue.Languages {
			resp, body := b.get(path + "lang=" + lang)
			if resp.StatusCode != 200 || !strings.Contains(body, `<html lang="`+lang+`"`) || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
				t.Errorf("%s in %s: %s\n%s", path, lang, resp.Status, body)
			}
			if strings.Contains(body, "612345") {
				t.Errorf("%s shows a whole number", path)
			}
		}
	}
	if strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("log:\n%s", s.log.String())
	}
}
