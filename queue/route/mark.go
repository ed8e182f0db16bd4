package route

import (
	"fmt"
	"hash/fnv"
)

// Mark is a number for one attempt at one part of a message, for networks that
// repeat a number of ours in their reports. It is computed, so that nothing
// need be remembered of it: a report finds what it is about after a crash too.
// It fits 16 bits, is never 0, and together with the recipient hardly ever means
// two.
//
// What goes over the wire today is compared next week: the function must not
// change.
func Mark(id string, attempt, part int) int {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s/%d/%d", id, attempt, part) // a hash takes everything
	sum := h.Sum32()
	return max(1, int(uint16(sum>>16)^uint16(sum)))
}
