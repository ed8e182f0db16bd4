// Package recent keeps the last lines of the log in memory, so that the page
// can show a technician what the box just did.
//
// It promises that nothing is kept that is not logged, that a full memory
// forgets the oldest line, and that logging never waits for a reader. It
// imports the standard library.
package recent

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Line is one record of the log.
type Line struct {
	At    time.Time
	Level slog.Level
	Text  string // the message and what goes with it, as key=value
}

// Log is a slog.Handler that remembers what it passes on.
type Log struct {
	next  slog.Handler
	attrs string // of the loggers made from it
	group string
	kept  *kept
}

type kept struct {
	mu    sync.Mutex
	lines []Line // a ring
	next  int
}

// New makes a Log that remembers the last n lines and passes everything on to
// next. What next does not want is not kept either.
func New(next slog.Handler, n int) *Log {
	return &Log{next: next, kept: &kept{lines: make([]Line, 0, n)}}
}

// Lines are those that are kept, newest first.
func (l *Log) Lines() []Line {
	k := l.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	out := slices.Concat(k.lines[k.next:], k.lines[:k.next])
	slices.Reverse(out)
	return out
}

// Enabled is as the next handler says.
func (l *Log) Enabled(ctx context.Context, level slog.Level) bool { return l.next.Enabled(ctx, level) }

// Handle keeps a record and passes it on.
func (l *Log) Handle(ctx context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message + l.attrs)
	r.Attrs(func(a slog.Attr) bool {
		write(&b, l.group, a)
		return true
	})
	l.kept.add(Line{At: r.Time, Level: r.Level, Text: b.String()})
	return l.next.Handle(ctx, r)
}

func (k *kept) add(line Line) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.lines) < cap(k.lines) {
		k.lines = append(k.lines, line)
		return
	}
	k.lines[k.next] = line
	k.next = (k.next + 1) % len(k.lines)
}

// WithAttrs and WithGroup keep to the same memory.
func (l *Log) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(l.attrs)
	for _, a := range attrs {
		write(&b, l.group, a)
	}
	return &Log{next: l.next.WithAttrs(attrs), attrs: b.String(), group: l.group, kept: l.kept}
}

// WithGroup is for slog.
func (l *Log) WithGroup(name string) slog.Handler {
	return &Log{next: l.next.WithGroup(name), attrs: l.attrs, group: l.group + name + ".", kept: l.kept}
}

func write(b *strings.Builder, group string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		for _, inner := range v.Group() {
			write(b, group+a.Key+".", inner)
		}
		return
	}
	text := v.String()
	if strings.ContainsAny(text, " \"=\n") {
		text = fmt.Sprintf("%q", text)
	}
	b.WriteString(" " + group + a.Key + "=" + text)
}
