package queue

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue/route"
)

// The door as a picture, row by row: what follows from each state. The test
// walks every pair of state and cause; what is not drawn must be refused.
const doorPicture = `
scheduled   due→queued hold→held expire→expired cancel→cancelled restored→unknown
queued      take→sending hold→held expire→expired cancel→cancelled report_sent→sent delivered→delivered undelivered→undelivered restored→unknown
held        release→queued expire→expired cancel→cancelled restored→unknown
sending     handed_over→sent relayed→sending not_offered→queued retry→queued reject→failed lost→unknown cancel→cancelled expire→expired report_sent→sent delivered→delivered undelivered→undelivered given_back→queued
sent        report_sent→sent delivered→delivered undelivered→undelivered given_back→queued resend→queued
unknown     report_sent→sent delivered→delivered undelivered→undelivered given_back→queued resend→queued give_up→failed
undelivered delivered→delivered resend→queued fall_back→queued
failed      delivered→delivered resend→queued fall_back→queued
expired     delivered→delivered resend→queued
delivered   resend→queued
cancelled   delivered→delivered resend→queued
`

var causes = []cause{
	onDue, onTake, onHandedOver, onRelayed, onNotOffered, onRetry, onReject, onLost, onRestored, onReportSent,
	onDelivered, onUndelivered, onGivenBack, onResend, onGiveUp, onHold, onRelease, onExpire, onCancel,
	onFallBack,
}

func TestDoorWalksEveryPair(t *testing.T) {
	drawn := map[string]string{}
	for line := range strings.Lines(strings.TrimSpace(doorPicture)) {
		fields := strings.Fields(line)
		for _, arrow := range fields[1:] {
			c, next, _ := strings.Cut(arrow, "→")
			drawn[fields[0]+" "+strings.ReplaceAll(c, "_", " ")] = next
		}
	}
	for _, s := range States {
		for _, c := range causes {
			next, err := s.On(c)
			want, ok := drawn[string(s)+" "+string(c)]
			switch {
			case ok && (err != nil || string(next) != want):
				t.Errorf("%s on %q: got %s, %v; the picture says %s", s, c, next, err, want)
			case !ok && (err == nil || next != s):
				t.Errorf("%s on %q: got %s, %v; the picture draws nothing", s, c, next, err)
			}
			delete(drawn, string(s)+" "+string(c))
		}
	}
	for arrow := range drawn {
		t.Errorf("the picture draws %q, which no state and cause are called", arrow)
	}
	if len(door) != len(States) {
		t.Errorf("the door knows %d states, there are %d", len(door), len(States))
	}
}

// Nothing but the door assigns a state: a message that is new, one that is
// read from the disk, and move.
func TestOnlyTheDoorAssignsStates(t *testing.T) {
	assign := regexp.MustCompile(`\bm\.State(,[^=]*)? = `)
	found := 0
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(src), "\n") {
			if !assign.MatchString(line) {
				continue
			}
			found++
			if name != "add.go" && name != "queue.go" && name != "record.go" {
				t.Errorf("%s:%d assigns a state past the door: %s", name, n+1, strings.TrimSpace(line))
			}
		}
	}
	if found != 4 { // accepted, scheduled, read, and move itself
		t.Errorf("found %d assignments of a message's state, expected 4", found)
	}
}

func TestWordsHaveFourLanguagesAndKnowEveryCode(t *testing.T) {
	for code, w := range words() {
		for i, text := range w.texts {
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s has no text in %s", code, Languages[i])
			}
			if got, want := placeholders(text), placeholders(w.texts[0]); !slices.Equal(got, want) {
				t.Errorf("%s in %s has placeholders %v, in en %v", code, Languages[i], got, want)
			}
		}
		if !slices.Contains([]string{"green", "amber", "red", "info", "message"}, w.lamp) {
			t.Errorf("%s has the lamp %q", code, w.lamp)
		}
	}
	used := regexp.MustCompile(`because\("([a-z_]+)"`)
	files, _ := filepath.Glob("*.go")
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range used.FindAllStringSubmatch(string(src), -1) {
			found++
			if _, ok := words()[match[1]]; !ok {
				t.Errorf("%s gives the reason %q, which words.csv does not have", name, match[1])
			}
		}
	}
	if found < 15 {
		t.Errorf("found only %d reasons in the sources; has the spelling changed?", found)
	}
}

func placeholders(text string) []string {
	list := regexp.MustCompile(`\{[a-z]+\}`).FindAllString(text, -1)
	slices.Sort(list)
	return list
}

func TestReasonReadsLikeAPerson(t *testing.T) {
	loc, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2031, 3, 4, 9, 30, 0, 0, time.UTC)
	r := because("retry", "time", stamp(at))
	if got, want := r.Text("nl", loc), "Het netwerk weigerde het voorlopig. Nieuwe poging om 2031-03-04 10:30."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Clock(at, at.Add(time.Hour), loc); got != "10:30" {
		t.Errorf("on the same day the clock time is enough; got %q", got)
	}
	if got := because("brand_new_code").Text("sv", loc); got != "brand_new_code" {
		t.Errorf("an unknown code must not be hidden; got %q", got)
	}
}

func TestRetryTable(t *testing.T) {
	for name, row := range retryTable {
		line := fmt.Sprintf("%-8s %-55s", name, row.kind)
		last := time.Duration(0)
		for n := 1; ; n++ {
			pause, more := row.after(n, nil)
			if !more {
				line += fmt.Sprintf(" then failed, after %d offers", n)
				break
			}
			if pause < row.first || pause > row.cap*3/2 {
				t.Errorf("%s: pause %d is %s, outside of %s to %s", name, n, pause, row.first, row.cap*3/2)
			}
			if n > 1 && pause < last/2 {
				t.Errorf("%s: pause %d (%s) is much shorter than the one before (%s)", name, n, pause, last)
			}
			last = pause
			line += fmt.Sprintf(" %s", pause.Round(time.Second))
			if n > 50 {
				t.Fatalf("%s never gives up", name)
			}
		}
		t.Log(line)
	}
	row := retryTable["refused"]
	if pause, _ := row.after(1, &route.Error{Wait: 10 * time.Minute, Max: 2}); pause < 10*time.Minute || pause > 15*time.Minute {
		t.Errorf("the network's own first pause of 10 m was not used: %s", pause)
	}
	if _, more := row.after(3, &route.Error{Wait: time.Minute, Max: 2}); more {
		t.Error("after three offers a code with two repeats must fail")
	}
}

func TestIDs(t *testing.T) {
	a, b := ID(5<<24|77), ID(6<<24|1)
	if !(a.String() < b.String()) {
		t.Errorf("ids must sort by age as text: %s, %s", a, b)
	}
	got, err := ParseID(a.String())
	if err != nil || got != a {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "x", "0000000000000l", "../../etc"} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("%q was read as an id", bad)
		}
	}
}

func TestKeysSortAsTheQueueOrders(t *testing.T) {
	due := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	msg := func(class Class, priority int, due time.Time, id ID) []byte {
		m := &Message{ID: id, State: Queued, Pool: "sms", Class: class, Priority: priority, Due: due, To: "+31612345678"}
		return byDueKey(m)
	}
	order := [][]byte{
		msg(Marketing, 3, due.Add(time.Hour), 9), // urgent, whatever its class
		msg(Transactional, 2, due, 8),
		msg(Transactional, 1, due.Add(-time.Hour), 7),
		msg(Transactional, 1, due, 3),
		msg(Transactional, 1, due, 4),
		msg(Transactional, 0, due, 2),
		msg(Marketing, 2, due, 1),
		msg(Marketing, 0, due, 1),
	}
	if !slices.IsSortedFunc(order, func(a, b []byte) int { return strings.Compare(string(a), string(b)) }) {
		t.Error("keys do not sort urgent, class, priority, due, id")
	}
	gotDue, gotID, gotHash := dueOf(order[3], laneKey("sms", 2))
	if !gotDue.Equal(due) || gotID != 3 || gotHash != hashOf("+31612345678") {
		t.Errorf("read back %v %v %v", gotDue, gotID, gotHash)
	}
}

func TestNumbersAreComparedFromTheRight(t *testing.T) {
	for _, same := range [][2]string{{"+31612345678", "0612345678"}, {"+31612345678", "31612345678"}, {"8080", "8080"}} {
		if !sameNumber(same[0], same[1]) || hashOf(same[0]) != hashOf(same[1]) {
			t.Errorf("%s and %s are one number", same[0], same[1])
		}
	}
	if sameNumber("+31612345678", "+31612345679") || sameNumber("8080", "80801") {
		t.Error("two numbers were taken for one")
	}
}
