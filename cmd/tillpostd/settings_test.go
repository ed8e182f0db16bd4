package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tillpost/webui/api"
	"tillpost/webui/api/wire"
)

func bootFile(t *testing.T, body string) *Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tillpost.toml")
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, ps := loadConfig(file)
	if ps.fatal() {
		t.Fatal(said(ps))
	}
	return cfg
}

func kept(pairs ...string) map[string]json.RawMessage {
	m := map[string]json.RawMessage{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return m
}

// The file wins, the store comes under it, and both know where they come from.
func TestFileWinsOverStore(t *testing.T) {
	cfg := bootFile(t, "language = \"nl\"\n[limits]\nmax_parts = 3\n")
	next, ps := cfg.with(kept(
		"language", `"sv"`, "limits.max_parts", `5`, "limits.queue_max", `77`, "limits.repeat", `"5m"`,
		"quiet_hours.enabled", `false`, "email.host", `"mail.example"`,
		"routing", `[{"prefix": "+46", "pool": "sms"}, {"pool": "sms", "min_attempt": 2}]`,
	))
	for _, p := range ps.list {
		if !strings.Contains(p.text, "this build") && !strings.HasPrefix(p.key, "email.") {
			t.Error(p)
		}
	}
	if next.Language != "nl" || next.Limits.MaxParts != 3 || next.Limits.QueueMax != 77 || next.QuietHours.Enabled {
		t.Errorf("%q %+v %+v", next.Language, next.Limits, next.QuietHours)
	}
	if len(next.Routing) != 2 || next.Routing[0].Prefix != "+46" || next.Routing[1].MinAttempt != 2 || next.Email.Port != 587 {
		t.Errorf("%+v %+v", next.Routing, next.Email)
	}
	shown := map[string]wire.Setting{}
	for _, s := range next.settings() {
		shown[s.Key] = s
	}
	for key, want := range map[string]wire.Setting{
		"language":         {Value: "nl", Origin: "file", Fixed: true},
		"limits.max_parts": {Value: 3, Origin: "file", Fixed: true},
		"limits.queue_max": {Value: 77, Origin: "store"},
		"limits.repeat":    {Value: "5m0s", Origin: "store"},
		"country":          {Value: "NL", Origin: "default"},
		"data_dir":         {Value: "/var/lib/tillpost", Origin: "default", Fixed: true},
	} {
		want.Key = key
		if got := shown[key]; got != want {
			t.Errorf("%s is shown as %+v, want %+v", key, got, want)
		}
	}
	again, err := json.Marshal(next.settings())
	if err != nil || len(again) == 0 {
		t.Error(err)
	}
}

// A secret is not shown.
func TestSettingsShowNoSecret(t *testing.T) {
	cfg := bootFile(t, "[[modem]]\nname = \"counter\"\nport = \"/dev/null\"\npin = \"4711\"\n")
	raw, err := json.Marshal(cfg.settings())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), "4711") || !strings.Contains(string(raw), api.SecretShown) {
		t.Errorf("%s", raw)
	}
}

// What makes no sense is refused by name.
func TestSettingsAreChecked(t *testing.T) {
	cfg := bootFile(t, "")
	check := cfg.forAPI(func() {}).Check
	for _, c := range []struct{ key, value, field, words string }{
		{"langage", `"nl"`, "langage", "language"},
		{"limits.max_part", `3`, "limits.max_part", "max_parts"},
		{"language", `"fr"`, "language", "not one of"},
		{"language", `3`, "language", "must be text"},
		{"limits.max_parts", `0`, "limits.max_parts", "must be from"},
		{"limits.short_codes", `["8080", "0612345678"]`, "limits.short_codes", "short code"},
		{"limits.short_codes", `["112"]`, "limits.short_codes", "calls for help"},
		{"limits.repeat", `"soon"`, "limits.repeat", "time with its unit"},
		{"routing", `[{"pool": "nowhere"}]`, "routing.pool", "is no pool"},
		{"data_dir", `"/elsewhere"`, "data_dir", "boot file only"},
		{"limits", `3`, "limits", "must be a table"},
	} {
		p, ok := check(kept(c.key, c.value)).(*wire.Problem)
		if !ok || p.Field != c.field || !strings.Contains(p.Detail, c.words) {
			t.Errorf("%s = %s: %+v", c.key, c.value, p)
		}
	}
	if err := check(kept("limits.max_parts", "4")); err != nil {
		t.Error(err)
	}
}

// The daemon begins anew with what was stored, and what was accepted is there.
func TestSettingsFromCallToForce(t *testing.T) {
	bin := build(t, "")
	r := startRadio(t, bin)
	b := newBox(t, bin, "")
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that stays the same
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b.write(addr, modemTable("counter", r.port))
	b.start()
	b.makeKey("send,admin")
	id := b.post(hello("+31612345678", "Before.")).ID
	b.becomes(id, "delivered")

	origin := func(key string) (string, any) {
		var page wire.Page[wire.Setting]
		if status, err := b.call("GET", "/api/v1/settings", nil, &page); err != nil || status != 200 {
			return "", err
		}
		for _, s := range page.Items {
			if s.Key == key {
				return s.Origin, s.Value
			}
		}
		return "", nil
	}
	if o, v := origin("limits.max_parts"); o != "default" || v != 6.0 {
		t.Errorf("it came as %v from %s", v, o)
	}
	if out, errs, code := b.tillpost("settings", "modem", "[]"); code != 1 || !strings.Contains(errs, "boot file") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	b.must("settings", "limits.max_parts", "2")
	eventually(t, "the daemon begins anew with two parts", func() (bool, string) {
		o, v := origin("limits.max_parts")
		return o == "store" && v == 2.0, o
	})
	long := hello("+31612345678", strings.Repeat("Te lang. ", 60))
	eventually(t, "and holds to them", func() (bool, string) {
		var p wire.Problem
		status, err := b.call("POST", "/api/v1/messages", long, &p)
		return err == nil && status == 400 && p.Code == "too_many_parts" || p.Field == "text", p.Detail
	})
	eventually(t, "the modem is back", func() (bool, string) {
		out, _, code := b.tillpost("routes")
		return code == 0 && strings.Contains(out, "ready"), out
	})
	b.becomes(b.post(hello("+31612345678", "After.")).ID, "delivered")
	b.becomes(id, "delivered")
	b.must("settings", "limits.max_parts", "null")
	eventually(t, "and goes back", func() (bool, string) {
		o, v := origin("limits.max_parts")
		return o == "default" && v == 6.0, o
	})
	b.stop()
}
