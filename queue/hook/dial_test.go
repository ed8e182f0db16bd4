package hook

import (
	"context"
	"crypto/sha256"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Where a call may go, by the address that is dialled in the end.
func TestWhereCallsMayGo(t *testing.T) {
	const (
		in, out, own, plain = "", "link-local", "the box itself", "plain http"
		many                = "one machine"
	)
	for _, c := range []struct {
		url, address string
		local        bool
		refused      string // a piece of why; empty: it may
	}{
		{"https://x/", "192.0.2.1:443", false, in},
		{"https://x/", "[2001:db8::1]:443", false, in},
		{"http://x/", "192.168.1.20:80", false, in},
		{"http://x/", "10.1.2.3:80", false, in},
		{"http://x/", "[fd00::5]:80", false, in},
		{"http://x/", "192.0.2.1:80", false, plain},
		{"http://x/", "[2001:db8::1]:80", false, plain},
		{"http://x/", "100.64.0.1:80", false, plain},
		{"https://x/", "127.0.0.1:443", false, own},
		{"https://x/", "127.8.8.8:443", false, own},
		{"https://x/", "[::1]:443", false, own},
		{"https://x/", "[::ffff:127.0.0.1]:443", false, own},
		{"https://x/", "[64:ff9b::7f00:1]:443", false, own},
		{"https://x/", "[2002:7f00:1::]:443", false, own},
		{"https://x/", "0.0.0.0:443", false, own},
		{"http://127.0.0.1/", "127.0.0.1:80", true, in},
		{"http://localhost/", "[::1]:80", true, in},
		{"https://x/", "169.254.169.254:443", true, out},
		{"https://x/", "[::ffff:169.254.169.254]:443", false, out},
		{"https://x/", "[fe80::1%eth0]:443", false, out},
		{"https://x/", "224.0.0.1:443", false, many},
		{"https://x/", "255.255.255.255:443", false, many},
	} {
		err := (&target{url: c.url, local: c.local}).allowed(c.address)
		if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s at %s: %v, want %q", c.url, c.address, err, c.refused)
		}
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		ip := a.(*net.IPNet).IP
		if err := (&target{url: "https://x/"}).allowed(net.JoinHostPort(ip.String(), "443")); err == nil {
			t.Errorf("our own address %s may be called", ip)
		}
	}
}

func hooksForDialling() *Hooks { return &Hooks{} }

func sent(t *testing.T, at *target) Result {
	t.Helper()
	defer at.close()
	return at.call(context.Background(), "box", 7, time.Unix(1795507200, 0), []byte(`{"a":1}`))
}

func TestCallsOverTheNetwork(t *testing.T) {
	redirected := false
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = Verify([]byte("s"), r.Header.Get(SignatureHeader), body, time.Unix(1795507230, 0), time.Minute)
		}
		if err != nil || r.Header.Get("Tillpost-Event") != "7" || r.Header.Get("Tillpost-Box") != "box" {
			t.Errorf("%v %v", err, r.Header)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/taken", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/taken", func(http.ResponseWriter, *http.Request) { redirected = true })
	mux.HandleFunc("/busy", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "90")
		http.Error(w, "not now", http.StatusServiceUnavailable)
	})
	mux.HandleFunc("/much", func(w http.ResponseWriter, r *http.Request) {
		for range 100 {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return // nobody reads that much
			}
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	h := hooksForDialling()
	to := func(path string) *target { return h.target(&Hook{URL: server.URL + path, Secret: "s"}) }

	if r := sent(t, to("/ok")); r.Err != "" || r.Status != 202 || r.verdict() != taken {
		t.Errorf("%+v", r)
	}
	if r := sent(t, to("/away")); r.Err == "" || redirected || r.verdict() != later {
		t.Errorf("%+v, followed: %t", r, redirected)
	}
	if r := sent(t, to("/busy")); r.Answer != "not now\n" || r.wait != 90*time.Second || r.verdict() != later {
		t.Errorf("%+v", r)
	}
	if r := sent(t, to("/much")); r.Err != "" || len(r.Answer) == 0 {
		t.Errorf("%+v", r)
	}
	// A till cannot have the box call itself, whatever its name says.
	if r := sent(t, h.callbackTarget(server.URL+"/ok", []byte("s"))); !strings.Contains(r.Err, "the box itself") {
		t.Errorf("%+v", r)
	}
	// Nor can a name that leads to loopback.
	sneaky := h.target(&Hook{URL: strings.Replace(server.URL, "127.0.0.1", "localhost.localdomain", 1) + "/ok"})
	if r := sent(t, sneaky); r.Err == "" {
		t.Errorf("%+v", r)
	}
}

func TestPinnedCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of who hangs up
	server.StartTLS()
	defer server.Close()
	h := hooksForDialling()
	pin := fingerprint(sha256.Sum256(server.Certificate().Raw))
	if r := sent(t, h.target(&Hook{URL: server.URL, Pin: pin})); r.Err != "" {
		t.Errorf("the pinned one: %+v", r)
	}
	if r := sent(t, h.target(&Hook{URL: server.URL, Pin: strings.Repeat("00", 32)})); !strings.Contains(r.Err, pin) {
		t.Errorf("another one: %+v", r)
	}
	if r := sent(t, h.target(&Hook{URL: server.URL})); r.Err == "" {
		t.Errorf("without a pin a certificate of nobody was believed: %+v", r)
	}
}

func TestVerifyRefuses(t *testing.T) {
	now := time.Unix(1795507200, 0)
	good := Sign([]byte("s"), now, []byte("body"))
	for name, c := range map[string]struct {
		secret, header, body string
		now                  time.Time
	}{
		"another secret":  {"x", good, "body", now},
		"another body":    {"s", good, "bodi", now},
		"an old call":     {"s", good, "body", now.Add(6 * time.Minute)},
		"from the future": {"s", good, "body", now.Add(-6 * time.Minute)},
		"another time":    {"s", strings.Replace(good, "t=1", "t=2", 1), "body", now},
		"no signature":    {"s", "", "body", now},
		"nonsense":        {"s", "t=x,v1=zz", "body", now},
	} {
		if err := Verify([]byte(c.secret), c.header, []byte(c.body), c.now, 5*time.Minute); err == nil {
			t.Errorf("%s was believed", name)
		}
	}
	if err := Verify([]byte("s"), good, []byte("body"), now.Add(4*time.Minute), 5*time.Minute); err != nil {
		t.Error(err)
	}
}
