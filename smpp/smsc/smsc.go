package smsc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/warthog618/sms/encoding/gsm7"
	"github.com/warthog618/sms/encoding/gsm7/charset"
)

// IDStyle is how message ids are spelled, in the submit_sm_resp and in the
// receipt.
type IDStyle string

const (
	IDDecimal IDStyle = ""        // decimal in both
	IDHex     IDStyle = "hex"     // upper-case hexadecimal in both
	IDHexDec  IDStyle = "hex-dec" // hexadecimal in the answer, decimal in the receipt
	IDDecHex  IDStyle = "dec-hex" // the reverse
	IDPadded  IDStyle = "padded"  // hexadecimal, with leading zeros in the answer only
	IDCase    IDStyle = "case"    // hexadecimal, upper case in the answer, lower in the receipt
	IDText    IDStyle = "text"    // a long name with - and _
)

// Form is what a receipt looks like.
type Form string

const (
	FormBoth  Form = ""      // TLVs and text
	FormTLV   Form = "tlv"   // TLVs only
	FormText  Form = "text"  // text only, marked in esm_class
	FormPlain Form = "plain" // text only, not marked at all
	FormShort Form = "short" // text without sub, dlvrd and text
	FormLong  Form = "long"  // text with seconds and century in the dates
)

// Config says what kind of SMSC it is. The zero value is a decent one that
// lets everybody in and answers at once.
type Config struct {
	SystemID, Password string // who may bind; an empty SystemID lets everybody in
	Name               string // our own system_id; empty: "smscsim"

	Latency       time.Duration // before each submit_sm_resp
	Window        int           // more submits unanswered are throttled; 0: no limit
	Rate          int           // more submits in one second are throttled; 0: no limit
	DeliverWindow int           // deliver_sm unanswered at once, per session; 0: 10
	RetryAfter    time.Duration // before a refused deliver_sm comes again; 0: 1 s
	Latin1        bool          // data_coding 0 is Latin-1 here, not GSM-7

	IDs          IDStyle
	FirstID      uint64 // 0: 1,000,000,000
	Receipts     Form
	ReceiptAfter time.Duration // 0: spread over the first second, see Verdict
	Early        bool          // receipts before the submit_sm_resp
	Twice        bool          // every receipt two times
	Between      bool          // an intermediate receipt before the final one
	Collide      bool          // deliver_sm with the sequence number of the last submit_sm

	Magic bool          // recipients as in Magic
	Late  time.Duration // how late the answer to a …0004 is; 0: 15 s

	Decide func(*Submit) Verdict // nil: what Magic and Faults say
	Faults []Fault

	Log  io.Writer // one Submit as a JSON line each; nil: none
	Keep bool      // Submits returns them
}

// Check reports settings that name nothing.
func (c *Config) Check() error {
	if !slices.Contains([]IDStyle{IDDecimal, IDHex, IDHexDec, IDDecHex, IDPadded, IDCase, IDText}, c.IDs) {
		return fmt.Errorf("smsc: %q is no spelling of ids", c.IDs)
	}
	if !slices.Contains([]Form{FormBoth, FormTLV, FormText, FormPlain, FormShort, FormLong}, c.Receipts) {
		return fmt.Errorf("smsc: %q is no form of receipts", c.Receipts)
	}
	return nil
}

// SMSC is a running simulator.
type SMSC struct {
	cfg   Config
	later *timeline

	mu       sync.Mutex
	sessions map[*session]bool
	opened   int
	number   uint64
	kept     []Submit
	seen     map[string]bool // recipients that were refused once
	faults   []Fault
	second   time.Time // of the rate
	inSecond int
	ready    []*delivery // to go out as soon as somebody can take them
	held     []func()    // answers that wait for Release
	stats    Stats
	news     chan struct{} // closed when something has changed
	logErr   error
}

// Stats are counts since the start.
type Stats struct {
	Binds    int // that succeeded
	Refused  int // binds refused
	Bound    int // sessions bound now
	Submits  int // read
	Accepted int
	Enquires int // enquire_link read
	Heard    int // enquire_link_resp and unbind_resp read
	Sent     int // deliver_sm sent, repeats counted
	Done     int // deliver_sm acknowledged with status 0
	Nacked   int // deliver_sm answered with anything else
	Waiting  int // deliver_sm not yet acknowledged
	Last     Answer
}

// Answer is the header of the last answer of a client.
type Answer struct{ ID, Status, Seq uint32 }

// New returns an SMSC that waits for Serve.
func New(cfg Config) *SMSC {
	if cfg.Name == "" {
		cfg.Name = "smscsim"
	}
	if cfg.DeliverWindow == 0 {
		cfg.DeliverWindow = 10
	}
	if cfg.RetryAfter == 0 {
		cfg.RetryAfter = time.Second
	}
	if cfg.FirstID == 0 {
		cfg.FirstID = 1_000_000_000
	}
	if cfg.Late == 0 {
		cfg.Late = 15 * time.Second
	}
	warm()
	return &SMSC{
		cfg:      cfg,
		later:    newTimeline(),
		sessions: make(map[*session]bool),
		number:   cfg.FirstID - 1,
		seen:     make(map[string]bool),
		faults:   append([]Fault(nil), cfg.Faults...),
		news:     make(chan struct{}),
	}
}

// warm builds the tables of the gsm7 package, which are not safe to be built
// by two goroutines at once.
var warm = sync.OnceFunc(func() {
	for language := range 14 {
		d := gsm7.NewDecoder().WithCharset(charset.NewDecoder(language)).WithExtCharset(charset.NewExtDecoder(language))
		d.Decode([]byte{0, 0x1B, 0x65})
	}
})

// Serve takes connections from l until ctx ends, and then closes them all.
func (m *SMSC) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	serving, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { m.later.run(serving.Done()) })
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("smsc: the listener was closed")
		}
		if err != nil {
			return fmt.Errorf("smsc: accepting: %w", err)
		}
		wg.Go(func() { m.serveConn(serving, conn) })
	}
}

// Submits returns what was read so far; needs Config.Keep.
func (m *SMSC) Submits() []Submit {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Submit(nil), m.kept...)
}

// Stats returns the counts of this moment.
func (m *SMSC) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count()
}

func (m *SMSC) count() Stats {
	s := m.stats
	s.Waiting = len(m.ready)
	for sess := range m.sessions {
		s.Waiting += len(sess.outstanding)
		if sess.bound != 0 {
			s.Bound++
		}
	}
	return s
}

// WaitFor returns once the counts satisfy ok, or with an error that shows
// them when ctx ends first.
func (m *SMSC) WaitFor(ctx context.Context, ok func(Stats) bool) error {
	for {
		m.mu.Lock()
		s, news := m.count(), m.news
		m.mu.Unlock()
		if ok(s) {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("smsc: waited in vain at %+v: %w", s, context.Cause(ctx))
		}
	}
}

// changed wakes those who wait. Called with mu held.
func (m *SMSC) changed() {
	close(m.news)
	m.news = make(chan struct{})
}

// Disconnect breaks all connections without a word.
func (m *SMSC) Disconnect() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.sessions {
		s.conn.Close()
	}
}

// Unbind asks all clients to end their sessions.
func (m *SMSC) Unbind() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.sessions {
		s.ask(unbind, nil)
	}
}

// Enquire sends an enquire_link to all clients.
func (m *SMSC) Enquire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.sessions {
		s.ask(enquireLink, nil)
	}
}

// Inject sends octets as they are to all clients.
func (m *SMSC) Inject(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.sessions {
		s.write(b)
	}
}

// Behave changes the rules for what comes from now on.
func (m *SMSC) Behave(change func(*Config)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.cfg)
}

// record books a submit and writes it to the log.
func (m *SMSC) record(s *Submit) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats.Submits++
	if s.Accepted {
		m.stats.Accepted++
	}
	if m.cfg.Keep {
		m.kept = append(m.kept, *s)
	}
	if m.cfg.Log != nil && m.logErr == nil {
		b, err := json.Marshal(s)
		if err == nil {
			_, err = m.cfg.Log.Write(append(b, '\n'))
		}
		m.logErr = err
	}
	m.changed()
}

// LogError is the first error of writing the log: then it is not complete.
func (m *SMSC) LogError() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.logErr
}

// spell writes the id of message n for the answer and for the receipt.
func (c *Config) spell(n uint64) (answer, receipt string) {
	dec, hex := strconv.FormatUint(n, 10), fmt.Sprintf("%X", n)
	switch c.IDs {
	case IDHex:
		return hex, hex
	case IDHexDec:
		return hex, dec
	case IDDecHex:
		return dec, hex
	case IDPadded:
		return "000" + hex, hex
	case IDCase:
		return hex, fmt.Sprintf("%x", n)
	case IDText:
		name := fmt.Sprintf("1a2B-3c_4D-%d", n)
		return name, name
	}
	return dec, dec
}
