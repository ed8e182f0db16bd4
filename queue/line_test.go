package queue

import (
	"fmt"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/routetest"
)

// Who stands in line is told by right of way, with the one that has waited
// longest and a time at which it will be empty.
func TestLine(t *testing.T) {
	inBox(t, func(t *testing.T, b *box) {
		modem := routetest.NewFake("counter")
		modem.Latency(3 * time.Second)
		b.open(modem)
		if l, err := b.q.Line(); len(l.Ranks) != 0 || !l.Empty.IsZero() || err != nil {
			t.Errorf("nobody waits: %+v, %v", l, err)
		}
		if m := b.q.InHand("counter"); m != nil {
			t.Errorf("nothing is in hand, and still there is %s", m.ID)
		}
		first := b.add(Draft{})
		b.later(time.Second)
		if m := b.q.InHand("counter"); m == nil || m.ID != first || m.Took.IsZero() {
			t.Errorf("in hand is %v", m)
		}
		if m := b.q.InHand("window"); m != nil {
			t.Errorf("there is no window, and it has %s in hand", m.ID)
		}
		b.later(4 * time.Second)
		modem.SetState(route.Waiting)
		var oldest ID
		for i := range 4 {
			id := b.add(Draft{To: fmt.Sprintf("+316000000%02d", i), Class: Marketing})
			if i == 0 {
				oldest = id
			}
			b.later(time.Second)
		}
		urgent, low := three, 0
		b.add(Draft{To: bram, Priority: &urgent, Class: Marketing})
		b.add(Draft{To: cees})
		b.add(Draft{To: dirk})
		b.add(Draft{To: anna, Priority: &low})
		l, err := b.q.Line()
		if err != nil {
			t.Fatal(err)
		}
		if !l.Empty.IsZero() {
			t.Errorf("nobody sends, and still it is to be empty at %s", l.Empty)
		}
		var told []string
		for _, r := range l.Ranks {
			told = append(told, fmt.Sprintf("%s %d: %d %t", r.Class, r.Priority, r.N, r.More))
		}
		want := []string{"transactional 3: 1 false", "transactional 1: 2 false", "transactional 0: 1 false", "marketing 1: 4 false"}
		if fmt.Sprint(told) != fmt.Sprint(want) {
			t.Errorf("%q, want %q", told, want)
		}
		if last := l.Ranks[len(l.Ranks)-1].Oldest; last == nil || last.ID != oldest {
			t.Errorf("the oldest one is %v, want %s", last, oldest)
		}
		modem.SetState(route.Ready)
		b.later(100 * time.Millisecond)
		l, err = b.q.Line()
		if left := l.Empty.Sub(b.q.Now()); err != nil || left < 15*time.Second || left > 25*time.Second {
			t.Errorf("7 messages of 3 s each: empty in %s, %v", left, err)
		}
	})
}

// A long line is not counted to its end, and the numbers still add up where
// they can.
func TestLineAddsUp(t *testing.T) {
	for _, c := range []struct {
		name  string
		ranks []Rank
		all   int
		want  string
	}{
		{"one has the rest", []Rank{{N: 2}, {N: countRank, More: true}}, 70_002, "2 false, 70000 false, "},
		{"two of them", []Rank{{N: countRank, More: true}, {N: countRank, More: true}}, 70_000, "5000 true, 5000 true, "},
		{"the count moved on meanwhile", []Rank{{N: 9}, {N: countRank, More: true}}, 12, "9 false, 5000 true, "},
	} {
		l := Line{Ranks: c.ranks}
		l.fill(c.all)
		got := ""
		for _, r := range l.Ranks {
			got += fmt.Sprintf("%d %t, ", r.N, r.More)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	for rank := range ranks {
		m := &Message{}
		if m.Class, m.Priority = classOf(rank); m.rank() != rank {
			t.Errorf("rank %d reads as %s %d, which has rank %d", rank, m.Class, m.Priority, m.rank())
		}
	}
}
