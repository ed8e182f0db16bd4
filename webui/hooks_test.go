package webui

import (
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/hook"
	"tillpost/webui/api/wire"
	"tillpost/webui/door"
)

// Every kind of event is in one topic, but those that nobody is told.
func TestTopicsHaveEveryKind(t *testing.T) {
	seen := map[queue.Kind]int{queue.KindHook: 1}
	for _, topic := range topics {
		for _, k := range topic.Kinds {
			seen[k]++
		}
	}
	for _, k := range queue.Kinds {
		if seen[k] != 1 {
			t.Errorf("%s is in %d topics", k, seen[k])
		}
		delete(seen, k)
	}
	for k := range seen {
		t.Errorf("%s is no kind of event", k)
	}
	chosen := hook.Hook{Kinds: append(slices.Clone(topics[1].Kinds), queue.KindSent, queue.KindReport)}
	f := formOf(chosen)
	if !f.Topics["inbox"] || f.Topics["fate"] || f.Also != "sent, report" || !slices.Equal(f.kinds(), chosen.Kinds) {
		t.Errorf("%+v gives %v, want %v", f, f.kinds(), chosen.Kinds)
	}
}

// A webhook from the page: made, tested, told, paused, told again, deleted.
func TestWebhookFromThePage(t *testing.T) {
	type call struct {
		wire.HookCall
		signed string
		body   []byte
	}
	calls := make(chan call, 100)
	status := make(chan int, 1) // of the next answer; none: 200
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := call{signed: r.Header.Get(hook.SignatureHeader)}
		var err error
		if c.body, err = io.ReadAll(r.Body); err == nil {
			err = json.Unmarshal(c.body, &c.HookCall)
		}
		if err != nil {
			t.Error(err)
		}
		select {
		case code := <-status:
			w.WriteHeader(code)
		default:
			calls <- c
		}
	}))
	defer other.Close()

	s := openShop(t, modem("Counter", "8931000000000004417", "Noordzee Mobiel", -71))
	b := s.browser(t)
	if _, body := b.get("/settings/hooks?lang=en"); !strings.Contains(body, "Nobody is told") {
		t.Error("an empty page does not say why that is fine")
	}
	for field, wrong := range map[string][]string{
		"name":   {"name", "a b", "url", other.URL},
		"url":    {"name", "software", "url", "software.example"},
		"pin":    {"name", "software", "url", "https://software.example/", "pin", "12"},
		"secret": {"name", "software", "url", other.URL, "secret", "short"},
		"kinds":  {"name", "software", "url", other.URL, "also", "nonsense"},
	} {
		resp, body := b.post("/settings/hooks", wrong...)
		if resp.StatusCode != 400 || !strings.Contains(body, html.EscapeString(say("en", "hook_wrong_"+field))) || !strings.Contains(body, `value="`+wrong[1]+`"`) {
			t.Errorf("a wrong %s: %s\n%s", field, resp.Status, body)
		}
	}
	resp, body := b.read(b.http.PostForm(s.url+"/settings/hooks", url.Values{"name": {"software"}, "url": {other.URL}, "topic": {"fate", "inbox"}}))
	secret := regexp.MustCompile(`class="secret">([^<]+)<`).FindStringSubmatch(body)
	if resp.StatusCode != 200 || secret == nil {
		t.Fatalf("%s shows no secret\n%s", resp.Status, body)
	}
	if _, again := b.get("/settings/hooks/software"); strings.Contains(again, secret[1]) || !strings.Contains(again, `value="fate" checked`) || strings.Contains(again, `value="ways" checked`) {
		t.Errorf("the page a second time:\n%s", again)
	}
	if resp, body := b.post("/settings/hooks", "name", "software", "url", other.URL); resp.StatusCode != 400 || !strings.Contains(body, "There is one called software already.") {
		t.Errorf("the same name twice: %s", resp.Status)
	}

	if _, body := b.post("/settings/hooks/software/test"); !strings.Contains(body, "It was taken: answer 200") {
		t.Errorf("the test:\n%s", body)
	}
	told := func(kind string) call {
		t.Helper()
		for {
			select {
			case c := <-calls:
				if string(c.Event.Kind) == kind {
					if err := hook.Verify([]byte(secret[1]), c.signed, c.body, time.Now(), time.Minute); err != nil {
						t.Error(err)
					}
					return c
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s was not told", kind)
			}
		}
	}
	if c := told("hook"); c.Event.Code != "test" {
		t.Errorf("the test said %+v", c.Event)
	}
	status <- 500
	if _, body := b.post("/settings/hooks/software/test"); !strings.Contains(body, "It was not taken: answer 500") {
		t.Errorf("a test that is refused:\n%s", body)
	}
	m := s.add("0612345678", "Uw fiets is klaar")
	c := told("sent")
	if c.Message == nil || c.Message.ID != m.ID.String() || c.Message.Text != "" {
		t.Errorf("told of %+v", c.Message)
	}
	until(t, func() bool {
		_, body = b.get("/settings/hooks?lang=en")
		return strings.Contains(body, "Works. Last told at ")
	})

	if _, body := b.post("/settings/hooks/software/pause"); !strings.Contains(body, "Paused. Nothing is told") || !strings.Contains(body, "/software/resume") {
		t.Errorf("paused:\n%s", body)
	}
	if _, body := b.post("/settings/hooks/software", "url", other.URL+"/new", "topic", "fate", "text", "1"); !strings.Contains(body, "Paused. Nothing is told") {
		t.Errorf("a change lets it go on:\n%s", body)
	}
	b.post("/settings/hooks/software/resume")
	if _, body := b.post("/settings/hooks/software/replay", "from", "x"); !strings.Contains(body, "Write the number of an event") {
		t.Errorf("from nowhere:\n%s", body)
	}
	if _, body := b.post("/settings/hooks/software/replay", "from", "1"); !strings.Contains(body, "Everything from event 1 on is told once more.") {
		t.Errorf("from the beginning:\n%s", body)
	}
	if c := told("sent"); c.Message == nil || c.Message.Text != "Uw fiets is klaar" {
		t.Errorf("told again, with texts now: %+v", c.Message)
	}
	if resp, _ := b.post("/settings/hooks/software/delete"); resp.Request.URL.Path != "/settings/hooks" {
		t.Errorf("deleting led to %s", resp.Request.URL)
	}
	for _, path := range []string{"/settings/hooks/software", "/settings/hooks/nobody"} {
		if resp, _ := b.get(path); resp.StatusCode != 404 {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	for _, act := range []string{"/settings/hooks/software/test", "/settings/hooks/software/nonsense", "/settings/hooks/software"} {
		if resp, _ := b.post(act, "url", other.URL); resp.StatusCode != 404 {
			t.Errorf("%s: %s", act, resp.Status)
		}
	}
	if strings.Contains(s.log.String(), secret[1]) {
		t.Error("the secret is in the log")
	}
}

// Who does not look after the box sets no webhooks.
func TestWebhooksAreForTechnicians(t *testing.T) {
	s := openShop(t)
	if err := s.site.SetPassword(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	for role, may := range map[door.Role]bool{door.Cashier: false, door.Manager: false, door.Technician: true} {
		name := string(role)
		if err := s.site.door.SetPerson(t.Context(), door.Person{Name: name, Role: role}, herPassword); err != nil {
			t.Fatal(err)
		}
		b := s.browser(t)
		b.post("/login", "name", name, "password", herPassword)
		if resp, _ := b.get("/settings/hooks"); (resp.StatusCode == 200) != may {
			t.Errorf("%s looks: %s", role, resp.Status)
		}
		if resp, _ := b.post("/settings/hooks", "name", name, "url", "https://software.example/"); (resp.StatusCode == 200) != may {
			t.Errorf("%s sets: %s", role, resp.Status)
		}
	}
}
