package modem

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/modem/at"
	"tillpost/modem/sim"
	"tillpost/queue/route"
)

var update = flag.Bool("update", false, "write the transcripts as they went")

// Issue 4, point 3: a family for each modem in the field notes, by what it
// calls itself.
func TestProfileOf(t *testing.T) {
	for said, want := range map[string]string{
		"huawei E3372": "huawei", "HUAWEI MU609": "huawei", "ZTE INCORPORATED MF190": "zte",
		"Quectel EC25": "quectel", "Quectel_Ltd Quectel_M35": "quectel-m", "QUECTEL M95": "quectel-m",
		"SIMCOM_Ltd SIMCOM_SIM800": "simcom-2g", "SIMCOM INCORPORATED SIMCOM_SIM7600E-H": "simcom", " SIM7600E-H Revision": "simcom",
		"Telit LE910C1-EU": "telit", "Sierra Wireless, Incorporated MC7455": "sierra", "WAVECOM MODEM MULTIBAND": "sierra", "MultiTech MTC": "sierra",
		"u-blox SARA-U201": "u-blox", "Cinterion BGS5": "cinterion", "Gemalto PLS8-E": "cinterion", "SIEMENS MC35i": "cinterion",
		"D-Link DWM-156": "longcheer", "": "generic", "Acme Phone 1": "generic",
	} {
		if got := profileOf(said).family; got != want {
			t.Errorf("%q is of family %s, want %s", said, got, want)
		}
	}
}

// Every profile can be worked with, and each has its transcript.
func TestProfilesAreWhole(t *testing.T) {
	for _, p := range profiles() {
		if len(p.card) == 0 || len(p.announce) == 0 || len(p.storage) == 0 || len(p.restart) == 0 || len(p.counters) == 0 {
			t.Errorf("%s: something that every modem needs is empty: %+v", p.family, p)
		}
		if len(p.match) == 0 && p.family != "generic" {
			t.Errorf("%s: nothing says which modems it is about", p.family)
		}
		if all, err := filepath.Glob(filepath.Join("testdata/transcripts", p.family+"*.txt")); err != nil || len(all) == 0 {
			t.Errorf("%s: there is no transcript (%v)", p.family, err)
		}
	}
}

// A transcript is a conversation: what we say (>), what the modem answers (<)
// and what it says unasked (!). It begins with comments, which also say how it
// came about. The test plays the modem's side, by what we say, and the
// conversation must go exactly as it is written: from the first byte to ready,
// then one message with its report, and one that comes in. With -update the
// files are written anew; a command that they do not know is answered ERROR.
type transcript struct {
	path    string
	about   []string            // comments
	answers map[string][]string // by command, one for each time it comes; the last stays
	unasked []string            // "!" lines, in the order in which they are to come
	text    string

	mu   sync.Mutex
	went []string
	line net.Conn
}

func readTranscript(t *testing.T, path string) *transcript {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tr := &transcript{path: path, answers: map[string][]string{}, text: string(b)}
	said := ""
	for l := range strings.Lines(tr.text) {
		l = strings.TrimRight(l, "\n")
		rest := strings.TrimPrefix(l[min(1, len(l)):], " ")
		switch {
		case strings.HasPrefix(l, "#"):
			tr.about = append(tr.about, l)
		case strings.HasPrefix(l, ">"):
			said = rest
			tr.answers[said] = append(tr.answers[said], "")
		case strings.HasPrefix(l, "<"):
			last := &tr.answers[said][len(tr.answers[said])-1]
			*last += rest + "\n"
		case strings.HasPrefix(l, "!"):
			tr.unasked = append(tr.unasked, rest)
		case l != "":
			t.Fatalf("%s: %q is nobody's line", path, l)
		}
	}
	return tr
}

func (tr *transcript) note(sign, s string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.went = append(tr.went, sign+" "+s)
}

// answer is what the modem says to cmd.
func (tr *transcript) answer(cmd string) []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	list := tr.answers[cmd]
	if len(list) == 0 {
		return []string{"ERROR"}
	}
	if len(list) > 1 {
		tr.answers[cmd] = list[1:]
	}
	return strings.Split(strings.TrimSuffix(list[0], "\n"), "\n")
}

// serve is the modem's side of one connection.
func (tr *transcript) serve(line net.Conn) {
	tr.mu.Lock()
	tr.line = line
	tr.mu.Unlock()
	for r := bufio.NewReader(line); ; {
		said, err := untilEnd(r)
		if err != nil {
			return
		}
		if said = strings.Trim(said, "\r\x1b"); said == "" {
			continue
		}
		said = strings.ReplaceAll(said, "\x1a", "<Ctrl-Z>")
		tr.note(">", said)
		for _, l := range tr.answer(said) {
			tr.note("<", l)
			text := "\r\n" + l + "\r\n"
			if l == ">" {
				text = "\r\n> "
			}
			if _, err := line.Write([]byte(text)); err != nil {
				return
			}
		}
	}
}

// untilEnd reads to the CR of a command, or the Ctrl-Z of a PDU.
func untilEnd(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		c, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		b.WriteByte(c)
		if c == '\r' || c == 0x1a {
			return b.String(), nil
		}
	}
}

// speak says the next unasked lines, up to and with n.
func (tr *transcript) speak(n int) {
	tr.mu.Lock()
	now := tr.unasked[:min(n, len(tr.unasked))]
	tr.unasked = tr.unasked[len(now):]
	line := tr.line
	tr.mu.Unlock()
	for _, l := range now {
		tr.note("!", l)
		line.Write([]byte("\r\n" + l + "\r\n")) // a line that is gone shows in what is missing
	}
}

func TestTranscripts(t *testing.T) {
	all, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(all) < 12 {
		t.Fatalf("%d transcripts, %v", len(all), err)
	}
	for _, path := range all {
		bubble(t, strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) { replay(t, readTranscript(t, path)) })
	}
}

func replay(t *testing.T, tr *transcript) {
	b := &bench{t: t, sink: newSink(), log: &notebook{}, trace: &notebook{}, ended: make(chan error, 1)}
	m := New(Config{Name: "counter", Port: "/dev/simulated", Memory: &memory{}})
	m.present = func(string) bool { return true }
	m.open = func(Config) (at.Port, error) {
		ours, theirs := net.Pipe()
		b.serve.Go(func() { tr.serve(theirs) })
		return ours, nil
	}
	b.modem = m
	b.cell = sim.NewCell(sim.CellConfig{}) // for the bench's end; nothing is on it
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	t.Cleanup(b.end)
	go func() { b.ended <- m.Run(ctx, b.sink) }()
	b.sink.mustBe(t, route.Ready)
	synctest.Wait()             // its first look round is over
	time.Sleep(5 * time.Second) // and no poll is due
	if _, err := b.send("m1", "+31612345678", "hellohello"); err != nil {
		t.Errorf("%v", err)
	}
	synctest.Wait()
	unasked := len(tr.unasked)
	tr.speak((unasked + 1) / 2) // the report, of one line or two
	b.reports(1)
	time.Sleep(time.Second)
	tr.speak(unasked)
	if in := b.inbound(1); in[0].Text != "hellohello" {
		t.Errorf("in came %+v", in[0])
	}
	time.Sleep(time.Second)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	went := strings.Join(append(slices.Clone(tr.about), tr.went...), "\n") + "\n"
	if *update {
		if err := os.WriteFile(tr.path, []byte(went), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if family, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(tr.path), ".txt"), "."); b.sink.last().Model == "" || profileOf(b.sink.last().Model).family != family {
		t.Errorf("%q is taken for %s, not %s", b.sink.last().Model, profileOf(b.sink.last().Model).family, family)
	}
	if went != tr.text && !*update {
		t.Errorf("the conversation went otherwise:\n%s", differing(tr.text, went))
	}
}

// differing shows the first line in which two texts differ, with some before.
func differing(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	i := 0
	for i < len(w) && i < len(g) && w[i] == g[i] {
		i++
	}
	from := max(0, i-3)
	return fmt.Sprintf("line %d\nwant\n%s\ngot\n%s", i+1, strings.Join(w[from:min(len(w), i+3)], "\n"), strings.Join(g[from:min(len(g), i+3)], "\n"))
}
