package smpp

import (
	"math/rand/v2"
	"sync"
)

// keepLost bounds the submits that a mark in a receipt can still settle.
const keepLost = 1024

// markBook numbers submits with user_message_reference, and remembers those
// whose answer was lost: their receipts can be told by nothing else. SMPP 3.4
// §5.3.2.17
type markBook struct {
	mu    sync.Mutex
	last  uint16 // begins anywhere: the numbers of a run before this one mean nothing
	lost  map[uint16]outPart
	order []uint16 // the keys of lost, oldest first
}

func newMarkBook() *markBook {
	return &markBook{last: uint16(rand.Uint32()), lost: make(map[uint16]outPart)}
}

func (b *markBook) next() uint16 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last++; b.last == 0 { // which means that there is none
		b.last = 1
	}
	return b.last
}

// lose notes that the answer for a part was lost.
func (b *markBook) lose(p outPart) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, again := b.lost[p.mark]; !again {
		if len(b.order) == keepLost {
			delete(b.lost, b.order[0])
			b.order = b.order[1:]
		}
		b.order = append(b.order, p.mark)
	}
	b.lost[p.mark] = p
}

// message returns the id of the lost message with this mark that went to a
// recipient; empty if there is none.
func (b *markBook) message(mark uint16, to string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.lost[mark]
	if !ok || !sameNumber(p.to, to) {
		return ""
	}
	return p.id
}
