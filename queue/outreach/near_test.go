package outreach

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"to", "text", "priority", "on_unknown"}
	for name, want := range map[string]string{
		"txt": "text", "Text": "text", "prioritty": "priority", "on_unknow": "on_unknown", "banana": "", "x": "",
	} {
		if got := Nearest(name, known); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
