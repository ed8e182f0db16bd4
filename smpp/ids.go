package smpp

import (
	"context"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"sync"

	"tillpost/queue/route"
)

// Spellings of Config.ReceiptID: how the id in a receipt relates to the id in
// the submit_sm_resp.
const (
	IDAuto   = "auto"    // learnt from the first pairs that leave no doubt
	IDSame   = "same"    // the same but for case and leading zeros
	IDHexDec = "hex-dec" // submit_sm_resp hexadecimal, receipt decimal
	IDDecHex = "dec-hex" // submit_sm_resp decimal, receipt hexadecimal
)

const (
	maxID     = 65   // octets of a message_id with its end. SMPP 3.4 §4.4.2
	keepSent  = 4096 // ids of late that receipts are compared with while learning
	keepDoubt = 256  // receipts reported before the spelling was learnt
)

// normal is the one spelling in which the queue knows a message id: that of
// the submit_sm_resp in lower case, without leading zeros where it is a
// number. Part.Ref and Report.Ref are both written like this. Only receipts
// are ever converted to another base, so what is learnt later also fits what
// was stored before.
func normal(id string) string {
	id = strings.ToLower(strings.TrimSpace(id))
	if !allHex(id) {
		return id
	}
	if short := strings.TrimLeft(id, "0"); short != "" || id == "" {
		return short
	}
	return "0"
}

// convert spells the id of a receipt as the submit_sm_resp did; ok is false
// for an id that cannot be read that way.
func convert(spelling, id string) (ref string, ok bool) {
	from, to := 10, 16
	switch spelling {
	case IDSame:
		return normal(id), true
	case IDHexDec:
		ok = allDigits(id)
	case IDDecHex:
		from, to = 16, 10
		ok = allHex(id)
	}
	if !ok || id == "" {
		return "", false
	}
	n, ok := new(big.Int).SetString(id, from) // may be longer than 64 bits
	if !ok {
		return "", false
	}
	return n.Text(to), true
}

func allHex(s string) bool {
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'a' || r > 'f') && (r < 'A' || r > 'F') {
			return false
		}
	}
	return true
}

// idBook turns the ids of receipts into refs. In "auto" it learns the
// spelling from receipts for messages it remembers.
type idBook struct {
	setting string
	memory  route.Memory
	account string
	log     *slog.Logger

	mu       sync.Mutex
	contrary int               // proofs in a row against learnt
	learnt   string            // IDSame, IDHexDec or IDDecHex; empty: not yet
	saved    string            // learnt, as the memory has it
	sent     map[string]string // ref → recipient, the last keepSent
	order    []string          // the keys of sent, oldest first
	lengths  map[int]int       // how many of them have which length
	doubt    []route.Report    // reported while nothing was learnt, Ref as in the receipt
	plain    bool              // receipts come that nothing but their text marks as such
}

func newIDBook(setting string, memory route.Memory, account string, log *slog.Logger) (*idBook, error) {
	b := &idBook{
		setting: setting, memory: memory, account: account, log: log,
		sent: make(map[string]string), lengths: make(map[int]int),
	}
	if memory == nil {
		return b, nil
	}
	learnt, err := memory.Load(b.key("receipt_id"))
	if err != nil {
		return nil, fmt.Errorf("loading how %s spells its message ids: %w", account, err)
	}
	plain, err := memory.Load(b.key("plain_receipts"))
	if err != nil {
		return nil, fmt.Errorf("loading how %s marks its receipts: %w", account, err)
	}
	b.learnt, b.saved, b.plain = string(learnt), string(learnt), plain != nil
	return b, nil
}

func (b *idBook) key(what string) string { return what + "/" + b.account }

// save keeps what was learnt for the next start. Without it the account works
// as well; it only has to learn again.
func (b *idBook) save(ctx context.Context, what, v string) {
	if b.memory == nil {
		return
	}
	if err := b.memory.Save(ctx, b.key(what), []byte(v)); err != nil {
		b.log.Warn("what was learnt about the SMSC could not be stored", "what", what, "err", err)
	}
}

// submitted remembers the id of a submit_sm_resp and returns it as a ref.
func (b *idBook) submitted(id, to string) string {
	ref := normal(id)
	if ref == "" {
		return ref
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, again := b.sent[ref]; !again {
		if len(b.order) == keepSent {
			old := b.order[0]
			b.order = b.order[1:]
			delete(b.sent, old)
			b.lengths[len(old)]--
		}
		b.order = append(b.order, ref)
		b.lengths[len(ref)]++
	}
	b.sent[ref] = to
	return ref
}

// knows says whether a receipt's id is that of a message sent lately.
func (b *idBook) knows(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, spelling := range []string{IDSame, IDHexDec, IDDecHex} {
		if ref, ok := convert(spelling, id); ok {
			if _, known := b.sent[ref]; known {
				return true
			}
		}
	}
	return false
}

// unmarked says whether a text that looks like a receipt is one. Anybody could
// have typed it; but from the first that names a message of ours on, this SMSC
// is known not to mark them.
func (b *idBook) unmarked(ctx context.Context, id string) bool {
	ours := b.knows(id)
	b.mu.Lock()
	news := ours && !b.plain
	b.plain = b.plain || ours
	plain := b.plain
	b.mu.Unlock()
	if news {
		b.save(ctx, "plain_receipts", "yes")
	}
	return plain
}

// ref turns the id of a receipt from a recipient into the ref of the message.
func (b *idBook) ref(id, from string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	spelling := b.setting
	if spelling == IDAuto {
		spelling = b.learnt
		if proven := b.prove(id, from); proven != "" {
			spelling = proven
			b.learn(proven)
		}
	}
	if ref, ok := convert(spelling, id); ok {
		return ref
	}
	return normal(id)
}

// learn takes note of a proof. What was learnt before gives way only to
// several proofs in a row.
func (b *idBook) learn(proven string) {
	if proven == b.learnt {
		b.contrary = 0
		return
	}
	const several = 3
	if b.contrary++; b.learnt == "" || b.contrary == several {
		b.learnt, b.contrary = proven, 0
	}
}

// prove looks for the one reading of a receipt's id that fits a message sent
// lately and leaves no doubt. Digits alone prove little: 23 may be 23, or 17
// written in hexadecimal. A letter proves the base; so does a number of eight
// digits or more whose length only one reading explains; so does the
// recipient, when only one of two possible messages went to him.
func (b *idBook) prove(id, from string) string {
	type reading struct {
		spelling, ref string
		recipient     bool // went to whom the receipt comes from
	}
	var fits []reading
	for _, spelling := range []string{IDSame, IDHexDec, IDDecHex} {
		ref, ok := convert(spelling, id)
		if !ok || spelling != IDSame && ref == normal(id) { // 7 is 7 in every base
			continue
		}
		if to, known := b.sent[ref]; known {
			fits = append(fits, reading{spelling, ref, from == "" || sameNumber(to, from)})
		}
	}
	if len(fits) > 1 { // the recipient decides, or nothing does
		var one []reading
		for _, f := range fits {
			if f.recipient {
				one = append(one, f)
			}
		}
		if len(one) == 1 {
			return one[0].spelling
		}
		return ""
	}
	if len(fits) == 0 || !fits[0].recipient {
		return ""
	}
	f, spelled := fits[0], normal(id)
	const telling = 8
	switch {
	case f.spelling == IDSame && (!allDigits(spelled) || len(spelled) >= telling):
		return f.spelling
	case f.spelling == IDSame:
		return ""
	case !allDigits(f.ref) || !allDigits(spelled):
		return f.spelling
	case len(f.ref) >= telling && b.lengths[len(spelled)] == 0:
		return f.spelling
	}
	return ""
}

// doubtful keeps a report whose ref may be spelled wrongly because nothing
// has been learnt yet.
func (b *idBook) doubtful(r route.Report) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.setting != IDAuto || b.learnt != "" {
		return
	}
	if len(b.doubt) == keepDoubt {
		b.doubt = b.doubt[1:]
	}
	b.doubt = append(b.doubt, r)
}

// settle tells the doubtful reports again, under their right refs, once
// something has been learnt, and stores that. If telling fails it begins anew
// at the next receipt; what was told before is known by its key.
func (b *idBook) settle(ctx context.Context, tell func(route.Report) error) error {
	b.mu.Lock()
	learnt, news := b.learnt, b.learnt != b.saved
	doubt := slices.Clone(b.doubt)
	b.mu.Unlock()
	if learnt == "" || !news && len(doubt) == 0 {
		return nil
	}
	for _, r := range doubt {
		ref, ok := convert(learnt, r.Ref)
		if !ok || ref == r.Ref {
			continue
		}
		r.Key = strings.Replace(r.Key, "/"+r.Ref+"/", "/"+ref+"/", 1)
		r.Ref = ref
		if err := tell(r); err != nil {
			return err
		}
	}
	b.mu.Lock()
	b.doubt, b.saved = nil, learnt // none was added since something is learnt
	b.mu.Unlock()
	if news {
		b.log.Info("learnt how the SMSC spells message ids in receipts", "receipt_id", learnt)
		b.save(ctx, "receipt_id", learnt)
	}
	return nil
}
