package whole

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tillpost/cmd/tillpost/hand"
	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
	"tillpost/queue/store"
	"tillpost/webui"
	"tillpost/webui/api"
	"tillpost/webui/api/wire"
)

// counter is a modem that can do what the command asks of modems.
type counter struct {
	*routetest.Fake
	mu    sync.Mutex
	pin   string
	found []string // by an examination
}

func (c *counter) Examine(context.Context) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.found, nil
}

func (c *counter) USSD(_ context.Context, code string) (string, error) {
	return "Your balance is 12.34 after " + code, nil
}

func (c *counter) EnterPIN(_ context.Context, pin string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pin = pin
	return nil
}

// box is a whole box in this process, reached by its socket.
type box struct {
	dir   string
	modem *counter
}

func newBox(t testing.TB) *box {
	t.Helper()
	b := &box{dir: t.TempDir(), modem: &counter{Fake: routetest.NewFake("counter")}}
	db, err := store.Open(store.Options{Path: filepath.Join(b.dir, "tillpost.db"), MinFree: -1, NoSync: true},
		append(queue.Schema(), api.Schema()...)...)
	if err != nil {
		t.Fatal(err)
	}
	q, err := queue.New(queue.Config{DB: db, Country: "NL", Tariffs: tariffs(t), MailPool: "email"})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Attach(b.modem, queue.DefaultPool); err != nil {
		t.Fatal(err)
	}
	a, err := api.New(api.Config{Queue: q, DB: db, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := api.ListenSocket(filepath.Join(b.dir, "tillpost.sock"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	for _, run := range []func(context.Context) error{q.Run, a.Run, func(ctx context.Context) error { return a.ServeSocket(ctx, l) }} {
		parts.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		parts.Wait()
		if err := db.Check(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// says runs the command on the box.
func (b *box) says(t testing.TB, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	code = Run(ctx, append([]string{"-socket", filepath.Join(b.dir, "tillpost.sock")}, args...), strings.NewReader(stdin), &out, &errs)
	return out.String(), errs.String(), code
}

func (b *box) must(t testing.TB, args ...string) string {
	t.Helper()
	out, errs, code := b.says(t, "", args...)
	if code != hand.Done {
		t.Fatalf("tillpost %q: exit %d\n%s%s", args, code, out, errs)
	}
	return out
}

func wants(t *testing.T, got string, fragments ...string) {
	t.Helper()
	for _, f := range fragments {
		if !strings.Contains(got, f) {
			t.Errorf("%q is missing in\n%s", f, got)
		}
	}
}

// until waits for a condition of the box.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

func TestMessagesFromSendToShow(t *testing.T) {
	b := newBox(t)
	b.modem.AutoReport(time.Millisecond)
	out := b.must(t, "send", "-ref", "order 7", "06-12345678", "Your order is ready, “really”")
	wants(t, out, "1 part in gsm7", `replaced "“" by`)
	id := strings.Fields(out)[0]
	until(t, "the message is delivered", func() bool {
		return strings.Contains(b.must(t, "show", id), "  delivered\n")
	})
	wants(t, b.must(t, "show", id), "+31612345678", "Your order is ready", "order 7", "accepted", "by uid:", "taken", "report")
	wants(t, b.must(t, "list"), id, "delivered", "+31612345678", "Your order is ready")
	wants(t, b.must(t, "list", "-state", "failed"), "no messages")
	wants(t, b.must(t, "list", "-to", "0612345678", "-ref", "order 7"), id)

	var page wire.Page[wire.Message]
	if err := json.Unmarshal([]byte(b.must(t, "-json", "list", "-n", "1")), &page); err != nil || len(page.Items) != 1 || page.Items[0].ID != id {
		t.Errorf("-json list: %v %+v", err, page)
	}
}

func TestSendByEmail(t *testing.T) {
	b := newBox(t)
	out := b.must(t, "send", "-channel", "email", "-subject", "Uw fiets", "Zoe@Example.nl", "Hij is klaar 🚲")
	wants(t, out, "by e-mail, waiting")
	wants(t, b.must(t, "show", strings.Fields(out)[0]), "zoe@example.nl", "Uw fiets", "Hij is klaar 🚲", "No mail server")
	both := b.must(t, "send", "-email", "zoe@example.nl", "06-12345678", "Hij is klaar")
	wants(t, b.must(t, "show", strings.Fields(both)[0]), "+31612345678", "or to", "zoe@example.nl")
	wants(t, b.must(t, "preview", "-channel", "email", "-subject", "Uw fiets", "Hij is klaar"), "e-mail of 12 bytes", "subject: Uw fiets", "Hij is klaar")
	if _, errs, code := b.says(t, "", "send", "-channel", "email", "06-12345678", "x"); code != hand.Failed || !strings.Contains(errs, "no e-mail address") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestSendReadsStdinAndTextsThatLookLikeFlags(t *testing.T) {
	b := newBox(t)
	out, errs, code := b.says(t, "two\nlines\n", "send", "+31612345678", "-")
	if code != hand.Done {
		t.Fatal(errs)
	}
	wants(t, b.must(t, "show", strings.Fields(out)[0]), "two⏎lines")
	wants(t, b.must(t, "show", strings.Fields(b.must(t, "send", "+31612345678", "--", "-20% today"))[0]), "-20% today")
}

func TestCancel(t *testing.T) {
	b := newBox(t)
	later := time.Now().Add(time.Hour).Format(time.RFC3339)
	id := strings.Fields(b.must(t, "send", "-at", later, "+31612345678", "not yet"))[0]
	wants(t, b.must(t, "show", id), "scheduled")
	wants(t, b.must(t, "cancel", id), "cancelled")

	gone := strings.Fields(b.must(t, "send", "+31612345678", "at once"))[0]
	until(t, "the message is sent", func() bool { return strings.Contains(b.must(t, "show", gone), "  sent\n") })
	_, errs, code := b.says(t, "", "cancel", gone)
	if code != hand.Failed {
		t.Errorf("cancelling what has left: exit %d", code)
	}
	wants(t, errs, "sent")
}

func TestPreviewTellsPartsAndWhatMakesThemDear(t *testing.T) {
	b := newBox(t)
	wants(t, b.must(t, "preview", strings.Repeat("a", 161)), "part 1 of 2", "part 2 of 2", "2 parts in gsm7")
	wants(t, b.must(t, "preview", strings.Repeat("a", 100)+"🎁"), "ucs2", `"🎁" keeps the text out`, "saves 1 part")
}

func TestStatusRoutesAndModem(t *testing.T) {
	b := newBox(t)
	until(t, "the modem is ready", func() bool { return strings.Contains(b.must(t, "status"), "ok:") })
	wants(t, b.must(t, "status"), "ok:", "waiting 0", "counter", "tillpostd test")
	wants(t, b.must(t, "modem", "counter", "status"), "counter", "ready", "identity", "sim-counter")
	wants(t, b.must(t, "modem", "counter", "ussd", "*100#"), "Your balance is 12.34 after *100#")
	wants(t, b.must(t, "modem", "counter", "examine"), "nothing was found")
	b.modem.mu.Lock()
	b.modem.found = []string{"IMS is not registered."}
	b.modem.mu.Unlock()
	wants(t, b.must(t, "modem", "counter", "examine"), "IMS is not registered.")
	b.must(t, "modem", "counter", "restart")
	if b.modem.Restarts() != 1 {
		t.Error("the modem was not restarted")
	}
	if _, errs, code := b.says(t, "4711\n", "modem", "counter", "pin"); code != hand.Done {
		t.Error(errs)
	}
	if b.modem.pin != "4711" {
		t.Errorf("the PIN that arrived is %q", b.modem.pin)
	}
	_, errs, code := b.says(t, "", "modem", "cellar", "status")
	if code != hand.Failed {
		t.Errorf("exit %d", code)
	}
	wants(t, errs, `no route called "cellar"`)
	_, errs, code = b.says(t, "", "modem", "counter", "ussd", "*21*123#")
	if code != hand.Failed || errs == "" {
		t.Errorf("a code that diverts calls: exit %d, %q", code, errs)
	}
}

func TestKeys(t *testing.T) {
	b := newBox(t)
	wants(t, b.must(t, "key", "list"), "no keys")
	var k wire.Key
	if err := json.Unmarshal([]byte(b.must(t, "-json", "key", "add", "till", "-scope", "send,read")), &k); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(k.Key, "tp_") || k.Name != "till" {
		t.Errorf("made %+v", k)
	}
	out, errs, _ := b.says(t, "", "key", "add", "-scope", "send", "other")
	if !strings.HasPrefix(out, "tp_") || strings.Count(out, "\n") != 1 {
		t.Errorf("stdout must hold the key alone: %q", out)
	}
	wants(t, errs, "shown once")
	wants(t, b.must(t, "key", "list"), "till", "send,read", "other", "uid:")
	b.must(t, "key", "revoke", "till")
	if strings.Contains(b.must(t, "key", "list"), "till ") {
		t.Error("a revoked key is listed")
	}
	_, errs, code := b.says(t, "", "key", "add", "x", "-scope", "sned")
	if code != hand.Failed {
		t.Errorf("a scope that is none: exit %d", code)
	}
	wants(t, errs, "sned")
}

func TestCheckWithAndWithoutDaemon(t *testing.T) {
	b := newBox(t)
	b.must(t, "send", "+31612345678", "kept")
	wants(t, b.must(t, "check"), "holds together")

	// The same store, left alone: the command opens it itself.
	alone := t.TempDir()
	db, err := store.Open(store.Options{Path: filepath.Join(alone, "tillpost.db")}, append(queue.Schema(), webui.Schema()...)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	nobody := filepath.Join(alone, "tillpost.sock")
	if code := Run(t.Context(), []string{"-socket", nobody, "check", "-data", alone}, nil, &out, &errs); code != hand.Done {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	wants(t, out.String(), "holds together")

	// One that is damaged must not pass.
	path := filepath.Join(alone, "tillpost.db")
	if err := os.Truncate(path, 8192); err != nil {
		t.Fatal(err)
	}
	errs.Reset()
	if code := Run(t.Context(), []string{"-socket", nobody, "check", "-data", alone}, nil, &out, &errs); code != hand.Failed {
		t.Errorf("a damaged store: exit %d, %s", code, errs.String())
	}
	wants(t, errs.String(), path)

	// And one that is not there is not made.
	empty := t.TempDir()
	errs.Reset()
	if code := Run(t.Context(), []string{"-socket", nobody, "check", "-data", empty}, nil, &out, &errs); code != hand.Failed {
		t.Errorf("no store: exit %d", code)
	}
	wants(t, errs.String(), "there is no store at "+empty)
	if list, err := os.ReadDir(empty); err != nil || len(list) > 0 {
		t.Errorf("looking made %v (%v)", list, err)
	}
}

func TestTailFollows(t *testing.T) {
	b := newBox(t)
	b.must(t, "send", "+31612345678", "before")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := &watched{want: []string{"accepted", "taken", "sent"}, found: cancel}
	var errs bytes.Buffer
	code := Run(ctx, []string{"-socket", filepath.Join(b.dir, "tillpost.sock"), "tail"}, nil, out, &errs)
	if code != hand.Done {
		t.Errorf("exit %d: %s", code, errs.String())
	}
	wants(t, out.String(), out.want...)
}

// watched calls found when everything wanted has been written.
type watched struct {
	bytes.Buffer
	want  []string
	found func()
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	for _, s := range w.want {
		if !strings.Contains(w.String(), s) {
			return n, err
		}
	}
	w.found()
	return n, err
}

func TestWrongUseIsExit2AndSaysWhatIsRight(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{nil, "what shall it do?"},
		{[]string{"snd"}, `"snd" is none of these words`},
		{[]string{"send"}, "TO is missing"},
		{[]string{"send", "+31612345678"}, "TEXT is missing"},
		{[]string{"send", "+31612345678", "two", "words"}, `"words" is one word too many; put a text of several words in quotes`},
		{[]string{"send", "-klass", "x", "+31612345678", "text"}, "-klass"},
		{[]string{"show"}, "ID is missing"},
		{[]string{"modem", "counter"}, "usage: tillpost modem NAME"},
		{[]string{"modem", "counter", "dance"}, "dance is not what a modem can do"},
		{[]string{"key", "drop"}, `"drop" is not add, list or revoke`},
		{[]string{"-url", "http://127.0.0.1:1", "status"}, "-url needs -key"},
		{[]string{"-key", "tp_x", "status"}, "-key belongs to -url"},
		{[]string{"-url", "box", "-key", "tp_x", "status"}, "box"},
	}
	for _, test := range tests {
		var out, errs bytes.Buffer
		if code := Run(t.Context(), test.args, nil, &out, &errs); code != hand.Misuse || out.Len() > 0 {
			t.Errorf("%q: exit %d, stdout %q", test.args, code, out.String())
		}
		wants(t, errs.String(), test.want)
	}
}

func TestRefusalsAreExit1AndInTheBoxsWords(t *testing.T) {
	b := newBox(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"send", "12", "text"}, "12"},
		{[]string{"send", "+31612345678", ""}, "text"},
		{[]string{"show", "nonsense"}, "Check the id"},
		{[]string{"show", queue.ID(1).String()}, "Check the id"},
	} {
		out, errs, code := b.says(t, "", test.args...)
		if code != hand.Failed || out != "" {
			t.Errorf("%q: exit %d, stdout %q", test.args, code, out)
		}
		wants(t, errs, "tillpost: ", test.want)
	}

	var out, errs bytes.Buffer
	if code := Run(t.Context(), []string{"-socket", filepath.Join(b.dir, "nobody.sock"), "status"}, nil, &out, &errs); code != hand.Failed {
		t.Errorf("no daemon: exit %d", code)
	}
	wants(t, errs.String(), "nobody.sock", "is it running")
}

// Every word of the manual is done by somebody.
func TestEveryWordIsDone(t *testing.T) {
	var manual, errs bytes.Buffer
	if code := Run(t.Context(), []string{"help"}, nil, &manual, &errs); code != hand.Done {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	words := 0
	for line := range strings.Lines(manual.String()) {
		usage, ok := strings.CutPrefix(line, "  ")
		if !ok || strings.HasPrefix(usage, " ") {
			continue
		}
		word := strings.Fields(usage)[0]
		words++
		if _, errs, code := tell(t, word, "-no-such-flag"); code != hand.Misuse || !strings.Contains(errs, "tillpost "+word) {
			t.Errorf("%s: exit %d, %s", word, code, errs)
		}
	}
	if words < len(rest.Verbs) {
		t.Errorf("the manual has %d words:\n%s", words, manual.String())
	}
}

var _ interface {
	route.USSD
	route.PINEntry
	route.Restarter
} = (*counter)(nil)
