package recent

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestTheLastLinesAreKept(t *testing.T) {
	var out bytes.Buffer
	kept := New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}), 3)
	log := slog.New(kept)
	log.Debug("nobody wants this")
	for i := range 5 {
		log.With("route", "Counter").WithGroup("at").Info("a line", "n", i, slog.Group("reply", "text", "two words"))
	}
	lines := kept.Lines()
	if len(lines) != 3 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, line := range lines {
		if want := fmt.Sprintf(`a line route=Counter at.n=%d at.reply.text="two words"`, 4-i); line.Text != want || line.Level != slog.LevelInfo || line.At.IsZero() {
			t.Errorf("%d: %+v, want %s", i, line, want)
		}
	}
	if n := strings.Count(out.String(), "a line"); n != 5 {
		t.Errorf("%d lines were passed on\n%s", n, out.String())
	}
}
