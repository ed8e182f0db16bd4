package text

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{
		"anna@example.nl":                      "anna@example.nl",
		"  Anna.Smit+bon@Example.NL ":          "anna.smit+bon@example.nl",
		"Anna Smit <anna@example.nl>":          "anna@example.nl",
		`"Smit, Anna" <a@example.nl>`:          "a@example.nl",
		"o'brien@3com.example":                 "o'brien@3com.example",
		"x@xn--mller-kva.example":              "x@xn--mller-kva.example",
		"a@" + strings.Repeat("b", 63) + ".nl": "a@" + strings.Repeat("b", 63) + ".nl",
	} {
		a, err := ParseAddress(in)
		if err != nil || a.String() != want {
			t.Errorf("%q reads as %q, %v; want %q", in, a, err, want)
		}
	}
	for in, code := range map[string]string{
		"":                                      CodeAddressEmpty,
		" ":                                     CodeAddressEmpty,
		"+31612345678":                          CodeAddressInvalid,
		"anna":                                  CodeAddressInvalid,
		"anna@":                                 CodeAddressInvalid,
		"@example.nl":                           CodeAddressInvalid,
		"anna@localhost":                        CodeAddressInvalid,
		"anna@example..nl":                      CodeAddressInvalid,
		"anna@-example.nl":                      CodeAddressInvalid,
		"anna@[192.0.2.1]":                      CodeAddressInvalid,
		"an na@example.nl":                      CodeAddressInvalid,
		"anna@example.nl\r\nBcc: all@b.nl":      CodeAddressInvalid,
		"anna\r\nRCPT TO:<x@y.nl>@example.nl":   CodeAddressInvalid,
		"\"an\r\nna\"@example.nl":               CodeAddressInvalid,
		`"an na"@example.nl`:                    CodeAddressInvalid,
		"anna@example.nl>":                      CodeAddressInvalid,
		"anna@example.nl, bram@example.nl":      CodeAddressInvalid,
		"anna@ex@example.nl":                    CodeAddressInvalid,
		".anna@example.nl":                      CodeAddressInvalid,
		"anna\x00@example.nl":                   CodeAddressInvalid,
		strings.Repeat("a", 65) + "@example.nl": CodeAddressInvalid,
		"a@" + strings.Repeat("b", 64) + ".nl":  CodeAddressInvalid,
		"änna@example.nl":                       CodeAddressForeign,
		"anna@müller.example":                   CodeAddressForeign,
	} {
		a, err := ParseAddress(in)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Code != code || e.Field != "to" || !a.IsZero() {
			t.Errorf("%q: got %q, %v; want the code %s", in, a, err, code)
		}
	}
}

func TestAddressStaysOutOfLogs(t *testing.T) {
	a, err := ParseAddress("anna@example.nl")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("sent", "to", a)
	if s := b.String(); strings.Contains(s, "anna") || !strings.Contains(s, "example.nl") {
		t.Errorf("the log says %s", s)
	}
}

// What is accepted can stand in a command or a header as it is.
func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"anna@example.nl", "A <a@b.nl>", "\"a\r\nb\"@c.nl", "a@b", "ä@b.nl"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		if strings.ContainsFunc(a.String(), func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("<>,;:\"()[]\\", r) }) {
			t.Errorf("%q reads as %q", s, a)
		}
		if again, err := ParseAddress(fmt.Sprintf("X <%s>", a)); err != nil || again != a {
			t.Errorf("%q reads as %q, and then as %q, %v", s, a, again, err)
		}
	})
}
