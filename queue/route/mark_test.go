package route

import "testing"

func TestMark(t *testing.T) {
	// What an SMSC repeats next week was given to it by another process: these
	// are fixed for ever.
	for _, c := range []struct {
		id            string
		attempt, part int
		want          int
	}{
		{"0000001aqnjyg", 1, 1, 48630},
		{"0000001aqnjyg", 2, 1, 51197},
		{"0000001aqnjyg", 1, 2, 48795},
	} {
		if got := Mark(c.id, c.attempt, c.part); got != c.want {
			t.Errorf("attempt %d at part %d of %s is marked %d, was %d", c.attempt, c.part, c.id, got, c.want)
		}
	}
	seen := make(map[int]bool)
	for attempt := range 100_000 {
		seen[Mark("0000001aqnjyg", attempt, 1)] = true
	}
	if seen[0] || len(seen) < 40_000 {
		t.Errorf("100,000 attempts have %d marks, 0 among them: %v", len(seen), seen[0])
	}
}
