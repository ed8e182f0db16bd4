package sim

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Config describes a modem and the SIM in it. The zero value is a good modem
// with an unlocked SIM.
type Config struct {
	IMEI   string // default of Identity(0)
	ICCID  string // as IMEI
	IMSI   string // as IMEI
	Number string // MSISDN of the SIM with plus; as IMEI
	PIN    string // empty: the SIM does not ask
	NoSIM  bool   // the tray is empty

	Vendor   string // AT+CGMI; also decides which vendor commands exist. Default "Generic"
	Model    string // AT+CGMM. Default "SIM-1"
	Revision string // AT+CGMR. Default "1.0"

	Latency time.Duration // from Ctrl-Z to the answer of AT+CMGS
	Think   time.Duration // added to every answer
	Boot    time.Duration // deaf after a restart. Default 500 ms
	Away    time.Duration // AT+CFUN=1,1 takes the port away for that long, as USB modems do; 0: it stays

	Slots    int  // places on the SIM, default 20
	MESlots  int  // places in the modem, default 50
	FirstAt0 bool // the places count from 0 instead of 1

	// Reports lists the values of <ds> that AT+CNMI takes. Default 0, 1, 2.
	Reports []int
	// ReportsInSR: stored reports (ds=2) go to memory "SR" although AT+CPMS
	// names another for what is received.
	ReportsInSR bool

	// Flip says when AT+CMSS turns a stored message from unsent to sent.
	Flip Flip

	FirstMR byte // the first TP-MR

	// USSD holds the network's answers by code. Default *100# with a balance.
	// Huawei takes and gives them packed (see setCUSD).
	USSD map[string]string

	Faults Script

	// Trace, if set, sees what goes over the line: '<' from the terminal, '>'
	// from the modem. It is called with the modem locked and must not call it.
	Trace func(dir rune, data []byte)
}

// Flip is a habit in which modems differ: when a stored message that is being
// sent becomes STO SENT.
type Flip string

const (
	FlipOnAnswer Flip = ""      // when the network has it
	FlipEarly    Flip = "early" // before the network has answered
	FlipNever    Flip = "never"
)

// Identity returns the identity of the nth modem of a shop, from 0: IMEI and
// ICCID have their check digits, and no magic ending fits the number.
func Identity(n int) Config {
	return Config{
		IMEI:   luhn(fmt.Sprintf("35209900%06d", n+1)),
		ICCID:  luhn(fmt.Sprintf("893144000000%06d", n+1)),
		IMSI:   fmt.Sprintf("20404%010d", n+1),
		Number: fmt.Sprintf("+3197010%06d", n+1001),
	}
}

// luhn appends the check digit of IMEI and ICCID (ISO/IEC 7812-1 annex B).
func luhn(digits string) string {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 0 {
			d *= 2
		}
		sum += d/10 + d%10
	}
	return digits + string(rune('0'+(10-sum%10)%10))
}

// Modem is one simulated modem on a cell. Serve gives it power and a line.
// Safe for concurrent use.
type Modem struct {
	cell   *Cell
	cfg    Config
	timers timers
	wake   chan struct{} // holds a token when Serve has something to look at

	mu     sync.Mutex
	served bool
	boots  int // counts power-ups: what was started before one is void after it

	card     *Card // nil: the tray is empty
	pulled   *Card // by the script
	me, sr   store
	network  int    // <stat> the cell would give us (TS 27.007 §7.2)
	signal   int    // <rssi> of AT+CSQ
	attached string // the number the cell knows us by
	lastStat int
	rules    []*rule
	lte      lte
	clock    string // as AT+CCLK? spells it; empty: never set
	calls    int    // that came in or ended: one that rings knows by it that it is over
	stuck    string // what it waits for, see the action of that name; outlives everything else

	settings
	conversation
}

// settings are what a restart loses: they live in RAM and AT&W does not keep
// them, as on most real modules.
type settings struct {
	echo    bool
	verbose bool // ATV
	quiet   bool // ATQ
	cmee    int
	cfun    int

	text bool      // AT+CMGF=1
	csms int       // phase 2+: what comes directly wants an acknowledgement
	cnmi [5]int    // mode, mt, bm, ds, bfr
	mem  [3]string // AT+CPMS: read and delete, write and send, receive
	smsc string
	csmp [4]int // fo, vp, pid, dcs of text mode
	csdh bool
	cscs string
	cmms int
	creg map[string]int // <n> of +CREG, +CGREG, +CEREG
	cops int            // format of the operator's name
}

// conversation is the state of the line and of the command that runs.
type conversation struct {
	input   []byte // came, not yet looked at
	typed   []byte // the command line so far
	last    string // for A/
	prompt  *prompt
	busy    bool // a command runs; what comes meanwhile waits
	task    int  // counts commands, so that an abandoned one cannot answer
	hung    bool // busy for ever; ESC ends it
	frozen  bool // not even ESC
	deaf    bool // does not even read
	booting bool // deaf, and not yet registered

	info     []string   // information lines of the command line that runs
	tamper   tamper     // what the script does to its answer
	out      []byte     // on its way to the terminal
	held     []string   // unsolicited lines that wait for the end of the prompt
	buffered [][]string // those about messages that wait for AT+CNMI=1
	ack      *delivery
	gone     error // the line is to end
}

// New puts a modem with its SIM on a cell. It does nothing until Serve.
func New(cell *Cell, cfg Config) *Modem {
	id := Identity(0)
	for _, f := range []struct{ field, value *string }{
		{&cfg.IMEI, &id.IMEI}, {&cfg.ICCID, &id.ICCID}, {&cfg.IMSI, &id.IMSI}, {&cfg.Number, &id.Number},
	} {
		if *f.field == "" {
			*f.field = *f.value
		}
	}
	cfg.Vendor = orDefault(cfg.Vendor, "Generic")
	cfg.Model = orDefault(cfg.Model, "SIM-1")
	cfg.Revision = orDefault(cfg.Revision, "1.0")
	cfg.Boot = orDefault(cfg.Boot, 500*time.Millisecond)
	cfg.Slots = orDefault(cfg.Slots, 20)
	cfg.MESlots = orDefault(cfg.MESlots, 50)
	if cfg.Reports == nil {
		cfg.Reports = []int{0, 1, 2}
	}
	if cfg.USSD == nil {
		cfg.USSD = map[string]string{"*100#": "Your balance is EUR 12.34."}
	}
	m := &Modem{
		cell:    cell,
		cfg:     cfg,
		wake:    make(chan struct{}, 1),
		me:      newStore("ME", firstIndex(cfg), cfg.MESlots),
		sr:      newStore("SR", firstIndex(cfg), cfg.MESlots),
		network: 1,
		signal:  20,
		lte:     lte{domain: 3},
		rules:   cfg.Faults.rules(),
	}
	if !cfg.NoSIM {
		m.card = m.fit(&Card{ICCID: cfg.ICCID, IMSI: cfg.IMSI, Number: cfg.Number, SMSC: cell.cfg.SMSC, PIN: cfg.PIN, Slots: cfg.Slots, mr: cfg.FirstMR})
	}
	return m
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func firstIndex(cfg Config) int {
	if cfg.FirstAt0 {
		return 0
	}
	return 1
}

// fit completes a card and makes its number known to the cell.
func (m *Modem) fit(c *Card) *Card {
	c.PUK = orDefault(c.PUK, "12345678")
	c.Slots = orDefault(c.Slots, 20)
	if c.store.places == nil {
		c.store = newStore("SM", firstIndex(m.cfg), c.Slots)
	}
	m.cell.subscribe(c.Number)
	return c
}

// Insert puts a card into the tray; one that was there comes back. nil pulls it.
func (m *Modem) Insert(c *Card) (old *Card) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.insert(c)
}

func (m *Modem) insert(c *Card) (old *Card) {
	old, m.card = m.card, c
	if c != nil {
		m.fit(c).open = false
		m.smsc = c.SMSC
	}
	m.refresh()
	if m.served {
		m.urc("+CPIN: " + m.pinState())
	}
	m.kick()
	return old
}

// PINEntries counts every PIN that was ever offered to the SIM now inserted.
func (m *Modem) PINEntries() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.card == nil {
		return 0
	}
	return m.card.entries
}

// Stored counts the occupied places of memory "SM", "ME" or "SR".
func (m *Modem) Stored(memory string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.storeOf(memory); s != nil {
		return s.used()
	}
	return 0
}

// boot is power-up: all settings are lost, the SIM wants its PIN again.
func (m *Modem) boot() {
	m.boots++
	m.abandonDelivery()
	m.settings = factory()
	m.conversation = conversation{task: m.task + 1}
	if m.card != nil {
		m.card.open = false
		m.smsc = m.card.SMSC
	}
	m.refresh()
}

func factory() settings {
	return settings{
		echo:    true,
		verbose: true,
		cfun:    1,
		mem:     [3]string{"SM", "SM", "SM"},
		csmp:    [4]int{17, 167, 0, 0},
		cscs:    "GSM",
		creg:    make(map[string]int),
	}
}

// restart is boot with the time it takes and what a vendor says meanwhile.
func (m *Modem) restart() {
	if m.cfg.Away > 0 {
		m.leave(m.cfg.Away)
		return
	}
	m.boot()
	m.booting, m.deaf = true, true
	m.refresh()
	m.after(m.cfg.Boot, func() {
		m.booting, m.deaf = false, false
		m.input = nil
		m.refresh()
		for _, l := range bootLines(m.cfg.Vendor) {
			m.urc(l)
		}
	})
}

// bootLines are the unsolicited lines of a start, by vendor.
func bootLines(vendor string) []string {
	for _, b := range []struct {
		vendor string
		lines  []string
	}{
		{"huawei", []string{"^BOOT:20000000,0,0,0,72", "^SIMST:1"}},
		{"simcom", []string{"RDY", "+CFUN: 1", "+CPIN: READY", "Call Ready", "SMS Ready"}},
		{"quectel", []string{"RDY", "+CFUN: 1", "+QIND: SMS DONE"}},
		{"cinterion", []string{"^SYSSTART"}},
		{"u-blox", []string{"+AT: READY"}},
		{"sierra", []string{"+WIND: 4"}},
	} {
		if strings.EqualFold(vendor, b.vendor) {
			return b.lines
		}
	}
	return []string{"RDY"}
}

// leave ends the line as pulling the plug does; it comes back after away.
func (m *Modem) leave(away time.Duration) {
	m.gone = &Unplugged{Away: away}
	m.kick()
}

// Unplugged is how Serve ends when the script takes the modem off the bus.
type Unplugged struct {
	Away time.Duration // it comes back after that; 0: when somebody serves it again
}

func (u *Unplugged) Error() string { return "the modem was unplugged" }

// stat is what AT+CREG? says (TS 27.007 §7.2).
func (m *Modem) stat() int {
	if m.booting || m.card == nil || m.card.state() != "READY" || m.cfun != 1 {
		return 0
	}
	return m.network
}

// canSend: the values of <stat> with which short messages go (TS 27.007 §7.2).
func canSend(stat int) bool {
	switch stat {
	case 1, 5, 6, 7, 9, 10:
		return true
	}
	return false
}

// refresh tells the cell and the terminal when registration has changed.
func (m *Modem) refresh() {
	stat := m.stat()
	number := ""
	if m.served && canSend(stat) {
		number = m.card.Number
	}
	if number != m.attached {
		if m.attached != "" {
			m.abandonDelivery()
			m.cell.detach(m.attached, m)
		}
		m.attached = number
		if number != "" {
			m.cell.attach(number, m)
		}
	}
	if stat != m.lastStat {
		m.lastStat = stat
		m.sayRegistration()
	}
}

func (m *Modem) sayRegistration() {
	for _, domain := range []string{"+CREG", "+CGREG", "+CEREG"} {
		if m.creg[domain] > 0 {
			m.urc(domain + ": " + m.registered(domain))
		}
	}
}

// registered is <stat>, and with <n> 2 also the cell (27.007 §7.2).
func (m *Modem) registered(domain string) string {
	stat := m.statIn(domain)
	if m.creg[domain] == 2 && canSend(stat) {
		return fmt.Sprintf(`%d,"00C8","1234"`, stat)
	}
	return strconv.Itoa(stat)
}

// after runs f under the lock when d has passed, unless the modem has
// restarted meanwhile.
func (m *Modem) after(d time.Duration, f func()) {
	boots := m.boots
	m.timers.after(d, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.boots == boots && m.served {
			f()
			m.kick()
		}
	})
}

// kick makes Serve look again.
func (m *Modem) kick() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// storeOf finds a store by its name, nil if it is not there now.
func (m *Modem) storeOf(memory string) *store {
	switch memory {
	case "SM":
		if m.card != nil {
			return &m.card.store
		}
	case "ME":
		return &m.me
	case "SR":
		return &m.sr
	}
	return nil
}
