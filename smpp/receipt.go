package smpp

import (
	"fmt"
	"strings"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"

	"tillpost/queue/route"
	"tillpost/queue/text"
)

// receipt is what a delivery receipt says, as it says it.
type receipt struct {
	id, stat, err string
	submit, done  string // dates, digits as they came
	network       string // network_error_code, "03:0011"
	quote         string // how the text of its message begins
}

// stateWords are the final and the passing states of a message. The text form
// abbreviates them (SMPP 3.4 Appendix B), the TLV numbers them (§5.2.28; 0
// and 9 are SMPP 5.0 §4.7.15). reason is the key of the plain text for a
// person.
var stateWords = []stateWord{
	{0, "SCHEDULED", route.ReportPending, "", "the provider will send it later"},
	{1, "ENROUTE", route.ReportPending, "", "it is on its way"},
	{2, "DELIVRD", route.ReportDelivered, "", "delivered to the phone"},
	{3, "EXPIRED", route.ReportUndelivered, "not_reached", "the phone could not be reached in time"},
	{4, "DELETED", route.ReportUndelivered, "refused", "the provider deleted it"},
	{5, "UNDELIV", route.ReportUndelivered, "not_reached", "it could not be delivered"},
	{6, "ACCEPTD", route.ReportPending, "", "the provider accepted it"},
	// UNKNOWN is the SMSC's last word and no proof of anything.
	{7, "UNKNOWN", route.ReportSent, "", "the provider does not know whether it arrived"},
	{8, "REJECTD", route.ReportUndelivered, "refused", "the network rejected it"},
	{9, "SKIPPED", route.ReportUndelivered, "refused", "the provider skipped it"},
}

type stateWord struct {
	number      int
	word        string
	state       route.ReportState
	reason, why string
}

// verdict translates stat. A word we do not know proves nothing and may be
// followed by another receipt.
func (r *receipt) verdict() stateWord {
	for _, s := range stateWords {
		if strings.EqualFold(s.word, r.stat) {
			return s
		}
	}
	return stateWord{-1, r.stat, route.ReportPending, "", "the provider says: " + r.stat}
}

// code is the network's own verdict.
func (r *receipt) code() string {
	code := "stat:" + r.stat
	if r.err != "" {
		code += " err:" + r.err
	}
	if r.network != "" {
		code += " network:" + r.network
	}
	return code
}

// readReceipt reads a receipt, the TLVs before the text: they are exact where
// the text is a habit. ok is false if neither names a message and its state.
func readReceipt(m *carried) (r receipt, ok bool) {
	said := receiptText(m)
	r, _ = parseReceipt(said)
	r.quote = quoted(said)
	if id, has := m.tlv[pdutlv.TagReceiptedMessageID]; has {
		if s := strings.TrimSpace(cstring(id.Bytes())); s != "" {
			r.id = s
		}
	}
	if state, has := m.tlv[pdutlv.TagMessageStateOption]; has && len(state.Bytes()) == 1 {
		r.stat = numberedState(int(state.Bytes()[0]))
	}
	// One octet for the network, two for its error. SMPP 3.4 §5.3.2.31
	if code, has := m.tlv[pdutlv.TagNetworkErrorCode]; has && len(code.Bytes()) == 3 {
		b := code.Bytes()
		r.network = fmt.Sprintf("%02X:%02X%02X", b[0], b[1], b[2])
	}
	return r, r.id != "" && len(r.id) <= maxID && r.stat != ""
}

// numberedState is the word for a message_state.
func numberedState(number int) string {
	for _, s := range stateWords {
		if s.number == number {
			return s.word
		}
	}
	return fmt.Sprintf("STATE%d", number)
}

// receiptText is the text of a receipt. It is ASCII at every SMSC, whatever
// data_coding says, but for those that write UCS2.
func receiptText(m *carried) string {
	b := m.text
	if m.esm&esmUDHI != 0 {
		if _, rest, err := cutHeader(b); err == nil {
			b = rest
		}
	}
	if m.coding == codingUCS2 {
		return text.FromUTF16(b)
	}
	return string(b)
}

// parseReceipt reads the form of SMPP 3.4 Appendix B and its relatives:
//
//	id:… sub:001 dlvrd:001 submit date:… done date:… stat:DELIVRD err:000 text:…
//
// Fields may be missing, in any case and order. What stands behind text: was
// written by whoever wrote the message, so nothing is looked for there.
func parseReceipt(s string) (r receipt, ok bool) {
	lower := asciiLower(s)
	if end := findKey(lower, "text:"); end >= 0 {
		s, lower = s[:end], lower[:end]
	}
	value := func(key string) string {
		at := findKey(lower, key)
		if at < 0 {
			return ""
		}
		v := strings.TrimPrefix(s[at+len(key):], " ")
		if end := strings.IndexAny(v, " \r\n\t\x00"); end >= 0 {
			v = v[:end]
		}
		if strings.Contains(v, ":") { // an empty field: this is the next one
			return ""
		}
		return strings.TrimSpace(v)
	}
	r = receipt{
		id: value("id:"), stat: strings.ToUpper(value("stat:")), err: value("err:"),
		submit: value("submit date:"), done: value("done date:"),
	}
	return r, r.id != "" && r.stat != ""
}

// quoted is what stands behind text: the beginning of the message, as a rule
// its first 20 characters (SMPP 3.4 Appendix B). Some write octets there.
func quoted(s string) string {
	const key = "text:"
	at := findKey(asciiLower(s), key)
	if at < 0 {
		return ""
	}
	return strings.ToValidUTF8(strings.TrimSpace(s[at+len(key):]), "\uFFFD")
}

// findKey returns where key begins in s as a word of its own, or -1.
func findKey(s, key string) int {
	for at := 0; ; {
		i := strings.Index(s[at:], key)
		if i < 0 {
			return -1
		}
		at += i
		if at == 0 || s[at-1] == ' ' || s[at-1] == '\n' {
			return at
		}
		at += len(key)
	}
}

// asciiLower keeps the length, which strings.ToLower does not promise.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// receiptTime reads YYMMDDhhmm, YYMMDDhhmmss or YYYYMMDDhhmmss. SMSCs write
// their local time and no zone: the value is good for display, and to tell
// minutes apart.
func receiptTime(s string) time.Time {
	layouts := map[int]string{10: "0601021504", 12: "060102150405", 14: "20060102150405"}
	layout, ok := layouts[len(s)]
	if !ok || !allDigits(s) {
		return time.Time{}
	}
	t, err := time.Parse(layout, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
