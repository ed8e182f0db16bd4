package outreach

import "strings"

// Nearest is the known name that a slip of the hand turned into name: at most
// one letter in three changed, added or dropped. Empty: none is that near.
func Nearest(name string, known []string) string {
	near, least := "", max(1, len(name)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), k); d < least {
			near, least = k, d
		}
	}
	return near
}

// distance counts the letters to add, drop or change (Levenshtein), over bytes:
// names of fields are ASCII.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
