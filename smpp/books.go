package smpp

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"tillpost/queue/route"
)

// keepSenders bounds the senders that are remembered besides the usual one.
const keepSenders = 256

// senderBook knows the senders this account has used, so that what comes back
// gets the identity under which it went out: an SMSC spells the sender in a
// receipt as it likes, and may leave it out.
type senderBook struct {
	account string
	usual   string
	memory  route.Memory
	key     string

	mu    sync.Mutex
	other []string // oldest first
}

func newSenderBook(account, usual string, memory route.Memory) (*senderBook, error) {
	b := &senderBook{account: account, usual: usual, memory: memory, key: "senders/" + account}
	if memory == nil {
		return b, nil
	}
	v, err := memory.Load(b.key)
	if err != nil {
		return nil, fmt.Errorf("loading the senders used with %s: %w", account, err)
	}
	if v == nil {
		return b, nil
	}
	if err := json.Unmarshal(v, &b.other); err != nil {
		return nil, fmt.Errorf("reading the senders used with %s: %w", account, err)
	}
	return b, nil
}

// used remembers a sender before the first message goes out under it.
func (b *senderBook) used(ctx context.Context, sender string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if sender == b.usual || slices.Contains(b.other, sender) {
		return nil
	}
	if len(b.other) == keepSenders {
		b.other = b.other[1:]
	}
	b.other = append(b.other, sender)
	if b.memory == nil {
		return nil
	}
	v, err := json.Marshal(b.other)
	if err != nil {
		return fmt.Errorf("remembering a sender: %w", err)
	}
	if err := b.memory.Save(ctx, b.key, v); err != nil {
		b.other = b.other[:len(b.other)-1]
		return fmt.Errorf("remembering a sender: %w", err)
	}
	return nil
}

// identity is the account with the sender that the SMSC means by spelled; with
// the usual sender if it is none that we used.
func (b *senderBook) identity(spelled string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.other {
		if s == spelled || strings.TrimPrefix(s, "+") == strings.TrimPrefix(spelled, "+") {
			return identity(b.account, s)
		}
	}
	return identity(b.account, b.usual)
}

// identity names who carried a message: phones join parts by sender, and an
// SMSC's ids are unique within an account.
func identity(account, sender string) string { return account + "/" + sender }

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
	b.last++
	return b.last
}

// lose notes that the answer for a part was lost.
func (b *markBook) lose(p outPart) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.order) == keepLost {
		delete(b.lost, b.order[0])
		b.order = b.order[1:]
	}
	b.lost[p.mark] = p
	b.order = append(b.order, p.mark)
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
