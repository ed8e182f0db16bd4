package webui

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"tillpost/queue/route/routetest"
	"tillpost/webui/api"
)

// from asks the box as somebody at an address would, with fields as a form.
func (s *shop) from(addr, method, target string, fields url.Values, header ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, target, strings.NewReader(fields.Encode()))
	if fields != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.RemoteAddr = addr + ":40000"
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.site.ServeHTTP(w, r)
	return w
}

const (
	lan  = "192.0.2.7"
	self = "127.0.0.1"
	box  = "http://192.0.2.1" // as browsers call it
)

func TestNewBoxShowsOnlyItsSetUp(t *testing.T) {
	s := openShop(t)
	key, err := s.site.API.AddKey(t.Context(), "till-1", []api.Scope{api.Send, api.Read}, "test")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/messages", "/messages/0000000000000", "/login", "/nothing"} {
		if w := s.from(lan, "GET", box+path, nil); w.Code != 303 || w.Header().Get("Location") != "/setup" {
			t.Errorf("GET %s from the LAN: %d to %q", path, w.Code, w.Header().Get("Location"))
		}
	}
	for _, path := range []string{"/live?page=overview", "/charts/traffic.svg"} {
		if w := s.from(lan, "GET", box+path, nil); w.Code != 401 {
			t.Errorf("GET %s from the LAN: %d", path, w.Code)
		}
	}
	for _, path := range []string{"/api/v1/messages", "/metrics", "/openapi.json"} {
		if w := s.from(lan, "GET", box+path, nil, "Authorization", "Bearer "+key); w.Code != 403 {
			t.Errorf("GET %s from the LAN, with a key: %d", path, w.Code)
		}
	}
	if w := s.from(lan, "GET", box+"/healthz", nil); w.Code != 200 || w.Body.String() != "degraded\n" {
		t.Errorf("healthz: %d %q", w.Code, w.Body)
	}
	page := s.from(lan, "GET", box+"/setup", nil)
	if page.Code != 200 || strings.Contains(page.Body.String(), s.codes[0]) {
		t.Errorf("the set-up page: %d; it must not show the code", page.Code)
	}
	// What a proxy says about its callers is not believed.
	if w := s.from(lan, "GET", box+"/", nil, "X-Forwarded-For", "127.0.0.1"); w.Code != 303 {
		t.Errorf("X-Forwarded-For opened the page: %d", w.Code)
	}
	// On the box itself everything is open.
	if w := s.from(self, "GET", "http://localhost/", nil); w.Code != 200 || !strings.Contains(w.Body.String(), "/setup") {
		t.Errorf("the page on the box itself: %d", w.Code)
	}
	if w := s.from(self, "GET", "http://localhost/api/v1/messages", nil, "Authorization", "Bearer "+key); w.Code != 200 {
		t.Errorf("the API on the box itself: %d", w.Code)
	}
}

func TestSetUp(t *testing.T) {
	s := openShop(t)
	file, err := os.ReadFile(filepath.Join(s.dir, "setup-code"))
	if err != nil || strings.TrimSpace(string(file)) != s.codes[0] {
		t.Fatalf("setup-code: %q, %v", file, err)
	}
	try := func(code, password string) *httptest.ResponseRecorder {
		return s.from(lan, "POST", box+"/setup?lang=nl", url.Values{"code": {code}, "password": {password}})
	}
	if w := try("WRONG000", password); w.Code != 403 || !strings.Contains(w.Body.String(), `aria-invalid="true"`) {
		t.Errorf("a wrong code: %d", w.Code)
	}
	if w := try(s.codes[0], "kort"); w.Code != 400 || !strings.Contains(w.Body.String(), "4 tekens is kort") {
		t.Errorf("a short password: %d\n%s", w.Code, w.Body)
	}
	w := try(s.codes[0], password)
	cookies := w.Result().Cookies()
	if w.Code != 303 || w.Header().Get("Location") != "/setup/place" || len(cookies) != 1 {
		t.Fatalf("set-up: %d to %q, %d cookies\n%s", w.Code, w.Header().Get("Location"), len(cookies), w.Body)
	}
	if c := cookies[0]; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Secure {
		t.Errorf("the cookie: %+v", c)
	}
	if w := s.from(lan, "GET", box+"/", nil, "Cookie", cookies[0].Name+"="+cookies[0].Value); w.Code != 200 {
		t.Errorf("after the set-up: %d", w.Code)
	}
	if w := try(s.codes[0], "another password"); w.Code != 303 || w.Header().Get("Location") != "/login" {
		t.Errorf("a second set-up: %d to %q", w.Code, w.Header().Get("Location"))
	}
	// From now on nobody is inside without a session, on the box neither.
	for _, addr := range []string{lan, self} {
		if w := s.from(addr, "GET", box+"/", nil); w.Code != 303 || w.Header().Get("Location") != "/login" {
			t.Errorf("from %s: %d to %q", addr, w.Code, w.Header().Get("Location"))
		}
	}
	if w := s.from(lan, "GET", box+"/api/v1/messages", nil); w.Code != 401 {
		t.Errorf("the API asks for a key now: %d", w.Code)
	}
}

func TestFiveWrongCodesFromAnywhere(t *testing.T) {
	s := openShop(t)
	var w *httptest.ResponseRecorder
	for i := range 5 {
		w = s.from("192.0.2."+string(rune('1'+i)), "POST", box+"/setup", url.Values{"code": {"00000000"}, "password": {password}})
	}
	if w.Code != 429 || w.Header().Get("Retry-After") == "" || len(s.codes) != 2 {
		t.Errorf("%d, Retry-After %q, %d codes", w.Code, w.Header().Get("Retry-After"), len(s.codes))
	}
	if w := s.from("192.0.2.9", "POST", box+"/setup", url.Values{"code": {s.codes[1]}, "password": {password}}); w.Code != 429 {
		t.Errorf("during the pause: %d", w.Code)
	}
}

func TestLoginAndLogout(t *testing.T) {
	s := openShop(t)
	if err := s.site.SetPassword(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	b := s.browser(t)
	if resp, _ := b.get("/messages"); resp.Request.URL.Path != "/login" {
		t.Errorf("a stranger came to %s", resp.Request.URL)
	}
	if resp, body := b.post("/login", "password", "wrong wrong wrong"); resp.StatusCode != 403 || !strings.Contains(body, "not the password") {
		t.Errorf("a wrong password: %s", resp.Status)
	}
	if resp, _ := b.post("/login", "password", password); resp.StatusCode != 200 || resp.Request.URL.Path != "/" {
		t.Errorf("login: %s at %s", resp.Status, resp.Request.URL)
	}
	if resp, _ := b.get("/login"); resp.Request.URL.Path != "/" {
		t.Errorf("who is in need not log in: %s", resp.Request.URL)
	}
	if resp, _ := b.post("/logout"); resp.Request.URL.Path != "/login" {
		t.Errorf("logout: %s", resp.Request.URL)
	}
	if resp, _ := b.get("/"); resp.Request.URL.Path != "/login" {
		t.Errorf("after logout: %s", resp.Request.URL)
	}
	for range 5 {
		b.post("/login", "password", "wrong wrong wrong")
	}
	if resp, _ := b.post("/login", "password", password); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("after many wrong ones: %s", resp.Status)
	}
}

func TestCookieOverTLS(t *testing.T) {
	s := openShop(t)
	if err := s.site.SetPassword(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "https://192.0.2.1/login", strings.NewReader(url.Values{"password": {password}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.TLS = &tls.ConnectionState{}
	w := httptest.NewRecorder()
	s.site.ServeHTTP(w, r)
	c := w.Result().Cookies()
	if len(c) != 1 || !c[0].Secure || c[0].Name != "__Host-tillpost" || w.Header().Get("Strict-Transport-Security") == "" {
		t.Errorf("%d %+v", w.Code, c)
	}
}

func TestNamesOfTheBox(t *testing.T) {
	s := openShop(t)
	for host, fine := range map[string]bool{
		"localhost": true, "127.0.0.1:8080": true, "192.0.2.1": true, "[::1]:8080": true, "[fe80::1]": true,
		"kassa.example": true, "KASSA.example.:8080": true, "tillpost.local": true,
		"evil.example": false, "127.0.0.1.evil.example": false, "localhost.evil.example": false, "": false,
	} {
		r := httptest.NewRequest("GET", "http://x/setup", nil)
		r.Host = host
		w := httptest.NewRecorder()
		s.site.ServeHTTP(w, r)
		if got := w.Code == 200; got != fine || !fine && w.Code != http.StatusMisdirectedRequest {
			t.Errorf("Host %q: %d", host, w.Code)
		}
	}
	// A till calls the box as it likes: its key says who it is.
	if err := s.site.SetPassword(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	if w := s.from(lan, "GET", "http://sms-box.shop.example/api/v1/messages", nil); w.Code != 401 {
		t.Errorf("the API by another name: %d", w.Code)
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	s := openShop(t)
	form := url.Values{"code": {s.codes[0]}, "password": {password}}
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "http://evil.example"},
		{"Origin", "null"},
	} {
		if w := s.from(lan, "POST", box+"/setup", form, header...); w.Code != 403 || s.site.door.IsSet() {
			t.Errorf("%v: %d", header, w.Code)
		}
	}
	if w := s.from(lan, "POST", box+"/setup", form, "Origin", box, "Sec-Fetch-Site", "same-origin"); w.Code != 303 {
		t.Errorf("our own form: %d", w.Code)
	}
}

func TestWebsocketAsksForSessionAndOrigin(t *testing.T) {
	s := openShop(t)
	if err := s.site.SetPassword(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	b := s.browser(t)
	b.post("/login", "password", password)
	at, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	cookie := b.http.Jar.Cookies(at)[0].String()
	ws := "ws" + strings.TrimPrefix(s.url, "http") + "/live?page=overview&lang=en"
	for name, c := range map[string]struct {
		url, cookie, origin string
		status              int
	}{
		"ours":              {ws, cookie, s.url, 101},
		"without a session": {ws, "", s.url, 401},
		"a wrong session":   {ws, "tillpost=x", s.url, 401},
		"another site":      {ws, cookie, "http://evil.example", 403},
		"no origin at all":  {ws, cookie, "", 403},
		"no such page":      {strings.Replace(ws, "overview", "secrets", 1), cookie, s.url, 404},
		"no such message":   {strings.Replace(ws, "overview", "message/0000000000000", 1), cookie, s.url, 404},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			if c.cookie != "" {
				h.Set("Cookie", c.cookie)
			}
			if c.origin != "" {
				h.Set("Origin", c.origin)
			}
			conn, resp, err := websocket.DefaultDialer.Dial(c.url, h)
			if err == nil {
				conn.Close()
			}
			if resp == nil || resp.StatusCode != c.status {
				t.Errorf("%v, %v; want %d", resp, err, c.status)
			}
		})
	}
}

var (
	inline   = regexp.MustCompile(`(?i)\sstyle=|\son[a-z]+=|<style|javascript:|<script[^>]*>[^<]`)
	foreign  = regexp.MustCompile(`(?i)(?:src|href|action)="(?:https?:)?//`)
	loadable = regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`)
)

// Nothing is inline and nothing comes from elsewhere, on any page; and the
// first view weighs less than 150 KB.
func TestPagesKeepTheirPolicy(t *testing.T) {
	s := furnish(t)
	b := s.browser(t)
	_, login := b.get("/login")
	b.post("/login", "password", password)
	_, first := b.get("/")
	bodies := map[string]string{"/login": login, "/": first}
	for _, path := range []string{"/messages", "/messages/" + s.lost.ID.String(), "/nothing"} {
		_, bodies[path] = b.get(path)
	}
	for path, body := range bodies {
		if m := inline.FindString(body); m != "" {
			t.Errorf("%s has something inline: %q", path, m)
		}
		if m := foreign.FindString(body); m != "" {
			t.Errorf("%s loads from elsewhere: %q", path, m)
		}
	}
	weight := len(first)
	seen := map[string]bool{}
	for _, m := range loadable.FindAllStringSubmatch(first, -1) {
		if seen[m[1]] {
			continue
		}
		seen[m[1]] = true
		resp, body := b.get(m[1])
		if resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %s, Cache-Control %q", m[1], resp.Status, resp.Header.Get("Cache-Control"))
		}
		weight += len(body)
	}
	if weight > 150_000 || len(seen) < 3 {
		t.Errorf("the first view weighs %d bytes in %d files", weight, len(seen))
	}
	resp, _ := b.get("/")
	h := resp.Header
	if h.Get("Content-Security-Policy") != policy || !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy: %q", h.Get("Content-Security-Policy"))
	}
	for name, value := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
		if h.Get(name) != value {
			t.Errorf("%s: %q, want %q", name, h.Get(name), value)
		}
	}
	if resp, _ := b.get("/static/../webui.go"); resp.StatusCode != 404 {
		t.Errorf("beside the static files: %s", resp.Status)
	}
	if resp, _ := b.get("/static/"); resp.StatusCode != 404 {
		t.Errorf("a list of the static files: %s", resp.Status)
	}
}

func TestUnknownThingsAreSaidToBe(t *testing.T) {
	s := openShop(t, routetest.NewFake("Counter"))
	b := s.browser(t) // on the box itself, without a password
	for _, path := range []string{"/nothing", "/messages/zzz", "/messages/0000000000000"} {
		if resp, body := b.get(path); resp.StatusCode != 404 || !strings.Contains(body, "There is nothing here") {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	for _, path := range []string{"/messages/zzz/resend", "/messages/0000000000000/resend", "/routes/Nobody/resume", "/routes/Counter/explode"} {
		if resp, _ := b.post(path); resp.StatusCode != 404 {
			t.Errorf("POST %s: %s", path, resp.Status)
		}
	}
}
