package smpp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"

	"tillpost/queue/route"
)

// Ways to bind: Config.Bind.
const (
	BindTransceiver = "transceiver" // one session for both directions
	BindPair        = "pair"        // a transmitter and a receiver
)

// Config is one [[smpp]] section of the settings. Name, Addrs, SystemID and
// Log must be set; everything else has a default.
type Config struct {
	Name  string
	Addrs []string // host:port; the next one is tried when one fails

	SystemID   string
	Password   string
	SystemType string
	Bind       string // BindTransceiver (default) or BindPair
	Binds      int    // how many of these at once; 0: 1

	// TLS is nil for a plain connection. An empty ServerName is taken from
	// the address that is dialled.
	TLS *tls.Config

	Window         int // submits in flight per bind; 0: 10
	PartsPerSecond int // 0: no limit but what the SMSC's throttling teaches

	Source               string // usual sender: number, short code or name; may be empty
	SourceTON, SourceNPI *int   // of Source, and of other numbers unless it is a name; nil: from the look
	DestTON, DestNPI     *int   // nil: from the recipient's look
	ServiceType          string

	Alphabet     string // what data_coding 0 means: AlphabetGSM7 (default) or AlphabetLatin1
	CodingGSM7   byte   // data_coding of texts in that alphabet; 0 nearly everywhere, 0xF1 at some
	CodingUCS2   byte   // data_coding of UCS2 texts; 0: 8
	LongMessages string // LongUDH (default), LongSAR or LongPayload

	ReceiptID string        // IDAuto (default), IDSame, IDHexDec or IDDecHex
	Validity  time.Duration // how long the SMSC tries at most; 0: until the message expires

	// ValidityFormat is how it is told: ValidityRelative (default),
	// ValidityAbsolute, or ValidityNone where the SMSC takes no
	// validity_period; then it tries for as long as it likes.
	ValidityFormat string

	// MessageReference sends a user_message_reference with each part, which
	// some SMSCs repeat in the receipt: then it settles a message whose
	// submit_sm_resp was lost.
	MessageReference bool
	TLVs             map[uint16][]byte     // further optional parameters, sent with every part
	Codes            map[uint32]route.Fate // the provider's own meaning of status codes: Retry or Reject

	SendTimeout time.Duration // patience for a submit_sm_resp; 0: 60 s
	Timers      Timers

	Memory route.Memory // nil: nothing is remembered across restarts
	Log    *slog.Logger

	// Dial replaces the network in tests.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Timers are the waits of a session. A zero value is replaced by the default.
type Timers struct {
	Dial      time.Duration // TCP and TLS; 10 s
	Bind      time.Duration // bind_resp; 30 s
	Enquire   time.Duration // quiet time before each enquire_link; 30 s. Two unanswered end the session
	Write     time.Duration // for the SMSC to read what we send; 30 s
	Drain     time.Duration // at the end, for answers on their way; 10 s
	Unbind    time.Duration // unbind_resp; 5 s
	Reconnect time.Duration // first pause after a lost or failed connection, doubling; 2 s
	Longest   time.Duration // longest such pause; 5 min
	Refused   time.Duration // pause after the SMSC refused the login; 15 min
}

// defaults of Timers, in the order of its fields.
func (t Timers) withDefaults() Timers {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Dial, 10 * time.Second},
		{&t.Bind, 30 * time.Second},
		{&t.Enquire, 30 * time.Second},
		{&t.Write, 30 * time.Second},
		{&t.Drain, 10 * time.Second},
		{&t.Unbind, 5 * time.Second},
		{&t.Reconnect, 2 * time.Second},
		{&t.Longest, 5 * time.Minute},
		{&t.Refused, 15 * time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return t
}

// ownTLVs are those that submitSM writes itself.
var ownTLVs = []pdutlv.Tag{
	pdutlv.TagUserMessageReference, pdutlv.TagMessagePayload,
	pdutlv.TagSarMsgRefNum, pdutlv.TagSarTotalSegments, pdutlv.TagSarSegmentSeqnum,
}

// Check says what New would refuse, as "setting: why"; nil: nothing.
func (c Config) Check() error { return c.complete() }

// complete applies the defaults and refuses what cannot work.
func (c *Config) complete() error {
	if c.Name == "" || c.SystemID == "" || c.Log == nil {
		return errors.New("name, system_id and a logger must be set")
	}
	if len(c.Addrs) == 0 {
		return errors.New("addrs: the SMSC's host:port is missing")
	}
	for _, a := range c.Addrs {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return fmt.Errorf("addrs: %w; write host:port, for example smsc.example:2775", err)
		}
	}
	// SMPP 3.4 §4.1.1, §5.2.11, without the end. Of a password it allows 8, but
	// some providers give longer ones.
	for _, f := range []struct {
		name, value string
		most        int
	}{
		{"system_id", c.SystemID, 15}, {"password", c.Password, 63}, {"system_type", c.SystemType, 12}, {"service_type", c.ServiceType, 5},
	} {
		if len(f.value) > f.most {
			return fmt.Errorf("%s: %d characters; at most %d are possible", f.name, len(f.value), f.most)
		}
		if slices.Contains([]byte(f.value), 0) {
			return fmt.Errorf("%s: contains a zero octet", f.name)
		}
	}
	for _, f := range []struct {
		name    string
		value   *string
		allowed []string // the first is the default
	}{
		{"bind", &c.Bind, []string{BindTransceiver, BindPair}},
		{"alphabet", &c.Alphabet, []string{AlphabetGSM7, AlphabetLatin1}},
		{"long_messages", &c.LongMessages, []string{LongUDH, LongSAR, LongPayload}},
		{"receipt_id", &c.ReceiptID, []string{IDAuto, IDSame, IDHexDec, IDDecHex}},
		{"validity_format", &c.ValidityFormat, []string{ValidityRelative, ValidityAbsolute, ValidityNone}},
	} {
		if *f.value == "" {
			*f.value = f.allowed[0]
		}
		if !slices.Contains(f.allowed, *f.value) {
			return fmt.Errorf("%s: %q is none of %v", f.name, *f.value, f.allowed)
		}
	}
	for _, f := range []struct {
		name  string
		value *int
		usual int
		most  int
	}{
		{"binds", &c.Binds, 1, 16}, {"window", &c.Window, 10, 1000}, {"parts_per_second", &c.PartsPerSecond, 0, 100_000},
	} {
		if *f.value == 0 {
			*f.value = f.usual
		}
		if *f.value < 0 || *f.value > f.most {
			return fmt.Errorf("%s: %d is not between 0 and %d", f.name, *f.value, f.most)
		}
	}
	for name, v := range map[string]*int{"source_ton": c.SourceTON, "source_npi": c.SourceNPI, "dest_ton": c.DestTON, "dest_npi": c.DestNPI} {
		if v != nil && (*v < 0 || *v > 255) {
			return fmt.Errorf("%s: %d is not between 0 and 255", name, *v)
		}
	}
	if _, err := sender(c.Source); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	for tag, v := range c.TLVs {
		if slices.Contains(ownTLVs, pdutlv.Tag(tag)) {
			return fmt.Errorf("tlvs: 0x%04X is set for each part as its text and settings want; leave it out", tag)
		}
		if len(v) > maxShort {
			return fmt.Errorf("tlvs: 0x%04X has %d octets; at most %d are possible", tag, len(v), maxShort)
		}
	}
	for code, fate := range c.Codes {
		if fate != route.Retry && fate != route.Reject {
			return fmt.Errorf("codes: 0x%X: %q is neither %q nor %q", code, fate, route.Retry, route.Reject)
		}
	}
	if c.CodingUCS2 == 0 {
		c.CodingUCS2 = codingUCS2
	}
	if c.SendTimeout == 0 {
		c.SendTimeout = 60 * time.Second
	}
	c.Timers = c.Timers.withDefaults()
	if c.Dial == nil {
		// Keep-alive probes are the dialer's default: NAT forgets idle flows.
		c.Dial = (&net.Dialer{}).DialContext
	}
	return nil
}
