package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tillpost/queue"
	"tillpost/queue/hook"
	"tillpost/webui/api/wire"
)

func TestWebhookFromSetToForgotten(t *testing.T) {
	b := newBox(t)
	admin := b.addKey("boss", Admin)
	calls := make(chan wire.HookCall, 8)
	secret := ""
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err == nil {
			err = hook.Verify([]byte(secret), r.Header.Get(hook.SignatureHeader), raw, time.Now(), time.Minute)
		}
		var c wire.HookCall
		if err == nil {
			err = json.Unmarshal(raw, &c)
		}
		if err != nil {
			t.Error(err)
		}
		calls <- c
	}))
	defer server.Close()

	const path = "/api/v1/webhooks/software"
	made := want[wire.Webhook](b, 201, admin, "PUT", path, wire.NewWebhook{URL: server.URL})
	if secret = made.Secret; secret == "" || made.Name != "software" {
		t.Fatalf("%+v", made)
	}
	if again := want[wire.Webhook](b, 200, admin, "PUT", path, wire.NewWebhook{URL: server.URL, Kinds: []string{"accepted"}}); again.Secret != "" {
		t.Error("the secret is shown twice")
	}
	if one := want[wire.Webhook](b, 200, admin, "GET", path, nil); one.Secret != "" || one.URL != server.URL {
		t.Errorf("%+v", one)
	}
	if all := want[wire.Page[wire.Webhook]](b, 200, admin, "GET", "/api/v1/webhooks", nil); len(all.Items) != 1 {
		t.Errorf("%+v", all)
	}
	test := want[wire.WebhookTest](b, 200, admin, "POST", path+"/test", nil)
	if c := <-calls; !test.OK || test.Status != 200 || c.Event.Code != "test" || c.Hook != "software" || c.Box != b.db.Box() {
		t.Errorf("%+v %+v", test, c)
	}
	server.CloseClientConnections()
	if wh := want[wire.Webhook](b, 200, admin, "POST", path+"/replay", `{"after":0}`); wh.Cursor != 0 {
		t.Errorf("%+v", wh)
	}
	p := want[wire.Problem](b, 400, admin, "PUT", path, wire.NewWebhook{URL: "software.example"})
	if p.Field != "url" {
		t.Errorf("%+v", p)
	}
	want[wire.Problem](b, 403, b.key, "GET", path, nil)
	if w := b.ask(admin, "DELETE", path, nil); w.Code != 204 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, c := range [][2]string{{"GET", path}, {"DELETE", path}, {"POST", path + "/test"}} {
		want[wire.Problem](b, 404, admin, c[0], c[1], nil)
	}
	want[wire.Problem](b, 404, admin, "POST", path+"/replay", `{}`)
}

// A text leaves only where a person has said so.
func TestHookBodies(t *testing.T) {
	b := newBox(t)
	m := want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good)
	id, err := queue.ParseID(m.ID)
	if err != nil {
		t.Fatal(err)
	}
	e := queue.Event{Seq: 1, Kind: queue.KindAccepted, Msg: id}
	for _, text := range []bool{false, true} {
		raw, err := b.api.hookBody("software", e, nil, text)
		if err != nil {
			t.Fatal(err)
		}
		var c wire.HookCall
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatal(err)
		}
		if c.Message == nil || c.Message.ID != m.ID || c.Message.To != m.To || strings.Contains(string(raw), m.Text) != text {
			t.Errorf("text %t: %s", text, raw)
		}
	}
	gone, err := b.api.hookBody("software", queue.Event{Seq: 2, Kind: queue.KindSent, Msg: id + 1}, nil, true)
	if err != nil || strings.Contains(string(gone), `"message"`) {
		t.Errorf("a message that is gone: %s, %v", gone, err)
	}
}

// A key names who may be called back, and how much it may send.
func TestWhatAKeyMay(t *testing.T) {
	b := newBox(t)
	admin := b.addKey("boss", Admin)
	k := want[wire.Key](b, 201, admin, "POST", "/api/v1/keys", wire.NewKey{
		Name: "till-9", Scopes: []string{"send"}, CallbackHosts: []string{"till.example", "*.shop.example", "192.168.1.20:8000"}, PerHour: 2,
	})
	send := func(callback string) *httptest.ResponseRecorder {
		return b.ask(k.Key, "POST", "/api/v1/messages", wire.Send{To: "06-12345678", Text: "klaar " + callback, Later: wire.Later{Callback: callback}})
	}
	for _, bad := range []string{"https://other.example/", "https://shop.example/", "https://evil-shop.example/", "http://192.168.1.20/", "http://192.168.1.20:8001/",
		"https://till.example@other.example/", "till.example", "ftp://till.example/"} {
		if w := send(bad); w.Code != 400 || !strings.Contains(w.Body.String(), `"field":"callback"`) {
			t.Errorf("%s: %d %s", bad, w.Code, w.Body)
		}
	}
	for _, fine := range []string{"https://TILL.example:8443/x?y", "http://a.shop.example/"} {
		if w := send(fine); w.Code != 202 {
			t.Errorf("%s: %d %s", fine, w.Code, w.Body)
		}
	}
	over := send("")
	if over.Code != 429 || over.Header().Get("Retry-After") == "" || !strings.Contains(over.Body.String(), "till_limit") {
		t.Errorf("%d %s", over.Code, over.Body)
	}
	want[wire.Message](b, 202, b.key, "POST", "/api/v1/messages", good) // another till goes on

	secret, may, ok := b.api.keys.callsBack("till-9")
	sum := sha256.Sum256([]byte(k.Key))
	if !ok || string(secret) != hex.EncodeToString(sum[:]) || !may("192.168.1.20:8000") || may("192.168.1.20:8001") {
		t.Errorf("%q %t", secret, ok)
	}
	if _, _, ok := b.api.keys.callsBack("nobody"); ok {
		t.Error("a till that is not there is called back")
	}
	for _, bad := range []wire.NewKey{
		{Name: "x", Scopes: []string{"send"}, CallbackHosts: []string{"http://till.example"}},
		{Name: "x", Scopes: []string{"send"}, CallbackHosts: []string{strings.Repeat("a", 250) + ".example:65535"}},
		{Name: "x", Scopes: []string{"send"}, PerDay: -1},
	} {
		want[wire.Problem](b, 400, admin, "POST", "/api/v1/keys", bad)
	}
}
