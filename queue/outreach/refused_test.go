package outreach

import (
	"errors"
	"strings"
	"testing"

	"tillpost/queue"
)

// refused wants a refusal with a code, and a sentence that says what to do.
func refused(t *testing.T, what string, err error, code string) {
	t.Helper()
	bad, ok := errors.AsType[*queue.Invalid](err)
	switch {
	case !ok:
		t.Errorf("%s: %v, want a refusal with %s", what, err, code)
	case bad.Code != code:
		t.Errorf("%s is refused with %s (%s), want %s", what, bad.Code, bad.Detail, code)
	case bad.Field == "" || !strings.Contains(strings.TrimSpace(bad.Detail), " "):
		t.Errorf("%s: the refusal names no field or is no sentence: %+v", what, bad)
	}
}
