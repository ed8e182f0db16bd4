package sim

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"
)

// verb is a command the modem knows.
type verb struct {
	vendor string // only there; empty: everywhere
	needs  need
	sms    bool   // refuses with +CMS ERROR instead of +CME ERROR
	test   string // what AT+X=? lists
	read   func(m *Modem) result
	set    func(m *Modem, args []string) result // also AT+X alone, without arguments
}

// need is what must be there before a command works.
type need byte

const (
	needsNothing need = iota
	needsCard
	needsPIN // the SIM is there and unlocked
)

// verbs is the command set. V.250 commands are without sign, those of 27.007
// and 27.005 begin with +, vendors have their own.
var verbs = map[string]verb{
	// V.250
	"E":     {set: flag(func(m *Modem, v int) { m.echo = v == 1 })},
	"V":     {set: flag(func(m *Modem, v int) { m.verbose = v == 1 })},
	"Q":     {set: flag(func(m *Modem, v int) { m.quiet = v == 1 })},
	"Z":     {set: (*Modem).reset},
	"&F":    {set: (*Modem).reset},
	"&W":    {set: accept}, // nothing of ours is kept
	"&C":    {set: accept},
	"&D":    {set: accept},
	"&K":    {set: accept},
	"X":     {set: accept},
	"L":     {set: accept},
	"M":     {set: accept},
	"H":     {set: (*Modem).hangUp},
	"I":     {set: (*Modem).identify},
	"D":     {set: noCarrier},
	"S0":    {read: fixed("000"), set: accept},
	"S3":    {read: fixed("013"), set: accept},
	"S4":    {read: fixed("010"), set: accept},
	"S7":    {read: fixed("060"), set: accept},
	"+GCAP": {set: line("+GCAP: +CGSM")},
	"+GMI":  {set: property(func(c Config) string { return c.Vendor })},
	"+GMM":  {set: property(func(c Config) string { return c.Model })},
	"+GMR":  {set: property(func(c Config) string { return c.Revision })},
	"+GSN":  {set: property(func(c Config) string { return c.IMEI })},
	"+IPR":  {test: "(0),(9600,19200,38400,57600,115200)", read: fixed("+IPR: 0"), set: accept},
	"+IFC":  {test: "(0-2),(0-2)", read: fixed("+IFC: 0,0"), set: accept},

	// 27.007: the modem
	"+CGMI": {set: property(func(c Config) string { return c.Vendor })},
	"+CGMM": {set: property(func(c Config) string { return c.Model })},
	"+CGMR": {set: property(func(c Config) string { return c.Revision })},
	"+CGSN": {set: property(func(c Config) string { return c.IMEI })},
	"+CMEE": {
		test: "(0-2)",
		read: func(m *Modem) result { return m.told("+CMEE: %d", m.cmee) },
		set:  number(0, 2, func(m *Modem, v int) result { m.cmee = v; return success }),
	},
	"+CFUN": {
		test: "(0,1,4),(0,1)",
		read: func(m *Modem) result { return m.told("+CFUN: %d", m.cfun) },
		set:  (*Modem).setCFUN,
	},
	"+CSCS": {
		test: `("GSM","IRA","UCS2","HEX")`,
		read: func(m *Modem) result { return m.told("+CSCS: %q", m.cscs) },
		set:  (*Modem).setCSCS,
	},
	"+CSQ":  {test: "(0-31,99),(0-7,99)", set: func(m *Modem, _ []string) result { return m.told("+CSQ: %d,99", m.signal) }},
	"+CCLK": {read: (*Modem).readCCLK, set: accept},
	"+CTZU": {test: "(0,1)", set: accept},
	"+CEER": {set: line("+CEER: No cause information available")},
	"+CPAS": {set: line("+CPAS: 0")},
	"+CMUT": {read: fixed("+CMUT: 0"), set: accept},
	"+CLIP": {test: "(0,1)", read: fixed("+CLIP: 0,1"), set: accept},
	"+CRC":  {test: "(0,1)", read: fixed("+CRC: 0"), set: accept},
	"+CHUP": {set: (*Modem).hangUp},

	// 27.007: the SIM
	"+CPIN":  {needs: needsCard, read: func(m *Modem) result { return m.told("+CPIN: %s", m.pinState()) }, set: (*Modem).setCPIN},
	"+CPINR": {needs: needsCard, set: (*Modem).pinTriesLeft},
	"^CPIN":  {vendor: "Huawei", needs: needsCard, read: (*Modem).huaweiPIN},
	"+CPINC": {vendor: "Sierra", needs: needsCard, read: (*Modem).sierraPIN, set: func(m *Modem, _ []string) result { return m.sierraPIN() }},
	"+CSIM":  {needs: needsCard, set: (*Modem).setCSIM},
	"+CLCK":  {needs: needsCard, test: `("SC")`, set: (*Modem).setCLCK},
	"+CIMI":  {needs: needsPIN, set: func(m *Modem, _ []string) result { return m.told("%s", m.card.IMSI) }},
	"+CNUM":  {needs: needsPIN, set: func(m *Modem, _ []string) result { return m.told(`+CNUM: ,"%s",145`, m.card.Number) }},
	"+CCID":  {needs: needsCard, read: iccid("+CCID: "), set: iccidSet("+CCID: ")},
	"+ICCID": {vendor: "SIMCom", needs: needsCard, read: iccid("+ICCID: "), set: iccidSet("+ICCID: ")},
	"+QCCID": {vendor: "Quectel", needs: needsCard, read: iccid("+QCCID: "), set: iccidSet("+QCCID: ")},
	"#CCID":  {vendor: "Telit", needs: needsCard, set: iccidSet("#CCID: ")},
	"^ICCID": {vendor: "Huawei", needs: needsCard, read: iccid("^ICCID: ")},
	"^CURC":  {vendor: "Huawei", test: "(0-2)", read: fixed("^CURC: 0"), set: accept},

	// 27.007: the network
	"+CREG":  registration("+CREG"),
	"+CGREG": registration("+CGREG"),
	"+CEREG": registration("+CEREG"),
	"+CGSMS": {test: "(0-3)", read: func(m *Modem) result { return m.told("+CGSMS: %d", m.lte.domain) },
		set: number(0, 3, func(m *Modem, v int) result { m.lte.domain = v; return success })},
	"+CIREG": {read: (*Modem).readCIREG},
	"+COPS":  {needs: needsPIN, read: (*Modem).readCOPS, set: (*Modem).setCOPS, test: `(2,"Tillpost Cell","Tillpost","20499",0),,(0,3),(0-2)`},
	"+CGATT": {test: "(0,1)", read: func(m *Modem) result { return m.told("+CGATT: %d", bit(canSend(m.stat()))) }, set: accept},
	"+CUSD":  {needs: needsPIN, test: "(0-2)", read: fixed("+CUSD: 1"), set: (*Modem).setCUSD},

	// 27.005
	"+CSMS": {sms: true, test: "(0,1)", read: func(m *Modem) result { return m.told("+CSMS: %d,1,1,1", m.csms) },
		set: number(0, 1, func(m *Modem, v int) result { m.csms = v; return m.told("+CSMS: 1,1,1") })},
	"+CMGF": {sms: true, test: "(0,1)", read: func(m *Modem) result { return m.told("+CMGF: %d", bit(m.text)) },
		set: number(0, 1, func(m *Modem, v int) result { m.text = v == 1; return success })},
	"+CMMS": {sms: true, test: "(0-2)", read: func(m *Modem) result { return m.told("+CMMS: %d", m.cmms) },
		set: number(0, 2, func(m *Modem, v int) result { m.cmms = v; return success })},
	"+CSDH": {sms: true, test: "(0,1)", read: func(m *Modem) result { return m.told("+CSDH: %d", bit(m.csdh)) },
		set: number(0, 1, func(m *Modem, v int) result { m.csdh = v == 1; return success })},
	"+CSMP": {sms: true, read: func(m *Modem) result {
		return m.told("+CSMP: %d,%d,%d,%d", m.csmp[0], m.csmp[1], m.csmp[2], m.csmp[3])
	}, set: (*Modem).setCSMP},
	"+CSCA": {sms: true, needs: needsPIN, read: (*Modem).readCSCA, set: (*Modem).setCSCA},
	"+CSAS": {sms: true, set: accept},
	"+CRES": {sms: true, set: accept},
	"+CSCB": {sms: true, test: "(0,1)", read: fixed(`+CSCB: 0,"",""`), set: accept},
	"+CPMS": {sms: true, needs: needsPIN, test: `("SM","ME","SR"),("SM","ME"),("SM","ME")`, read: (*Modem).readCPMS, set: (*Modem).setCPMS},
	"+CNMI": {sms: true, read: func(m *Modem) result {
		return m.told("+CNMI: %d,%d,%d,%d,%d", m.cnmi[0], m.cnmi[1], m.cnmi[2], m.cnmi[3], m.cnmi[4])
	}, set: (*Modem).setCNMI},
	"+CNMA": {sms: true, test: "(0-2)", set: (*Modem).acknowledge},
	"+CMGS": {sms: true, needs: needsPIN, set: (*Modem).sendMessage},
	"+CMGW": {sms: true, needs: needsPIN, set: (*Modem).writeMessage},
	"+CMSS": {sms: true, needs: needsPIN, set: (*Modem).sendStored},
	"+CMGR": {sms: true, needs: needsPIN, set: (*Modem).readMessage},
	"+CMGL": {sms: true, needs: needsPIN, set: (*Modem).listMessages},
	"+CMGD": {sms: true, needs: needsPIN, set: (*Modem).deleteMessage},
}

// verb finds a command this vendor's modem knows.
func (m *Modem) verb(name string) (verb, bool) {
	v, ok := verbs[name]
	return v, ok && (v.vendor == "" || strings.EqualFold(v.vendor, m.cfg.Vendor))
}

// call checks what the command needs and runs the form that was asked for.
func (v verb) call(m *Modem, c command) result {
	if r := v.missing(m); r != nil {
		return *r
	}
	switch {
	case c.op == test && c.name == "+CNMI":
		return m.told("+CNMI: (0-2),(0-3),(0,2),(%s),(0,1)", list(m.cfg.Reports))
	case c.op == test && v.test != "":
		return m.told("%s: %s", c.name, v.test)
	case c.op == test && v.set != nil:
		return success
	case c.op == read && v.read != nil:
		return v.read(m)
	case (c.op == set || c.op == run) && v.set != nil:
		return v.set(m, c.args)
	}
	return failure
}

// missing is the refusal of a command that lacks what it needs: without SIM,
// with a PIN to enter, with a PUK to enter.
func (v verb) missing(m *Modem) *result {
	code := 0
	switch {
	case v.needs == needsNothing:
		return nil
	case m.card == nil:
		code = 10
	case v.needs == needsPIN && m.card.state() == "SIM PIN":
		code = 11
	case v.needs == needsPIN && m.card.state() == "SIM PUK":
		code = 12
	default:
		return nil
	}
	r := cme(code)
	if v.sms { // the same three in 27.005 §3.2.5
		r = cms(map[int]int{10: 310, 11: 311, 12: 316}[code])
	}
	return &r
}

// told answers one information line and OK.
func (m *Modem) told(format string, args ...any) result {
	m.reply(format, args...)
	return success
}

func accept(*Modem, []string) result { return success }

func noCarrier(m *Modem, _ []string) result { m.tamper.text = "NO CARRIER"; return failure }

func fixed(text string) func(*Modem) result {
	return func(m *Modem) result { return m.told("%s", text) }
}

func property(of func(Config) string) func(*Modem, []string) result {
	return func(m *Modem, _ []string) result { return m.told("%s", of(m.cfg)) }
}

func line(text string) func(*Modem, []string) result {
	return func(m *Modem, _ []string) result { return m.told("%s", text) }
}

// flag is a V.250 basic command whose number is 0 (also if absent) or 1.
func flag(set func(m *Modem, v int)) func(*Modem, []string) result {
	return func(m *Modem, args []string) result {
		v, err := strconv.Atoi("0" + args[0])
		if err != nil || v > 1 {
			return failure
		}
		set(m, v)
		return success
	}
}

// number is a command with one number between low and high.
func number(low, high int, set func(m *Modem, v int) result) func(*Modem, []string) result {
	return func(m *Modem, args []string) result {
		v, ok := argument(args, 0, -1)
		if !ok || v < low || v > high {
			return failure
		}
		return set(m, v)
	}
}

// argument reads the nth argument as a number; an omitted one is def.
func argument(args []string, n, def int) (int, bool) {
	if n >= len(args) || args[n] == "" {
		return def, true
	}
	v, err := strconv.Atoi(args[n])
	return v, err == nil && v >= 0
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func list(values []int) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = strconv.Itoa(v)
	}
	return strings.Join(words, ",")
}

// quote puts a string of the terminal's character set into quotes; it may hold
// any byte.
func quote(s string) string { return `"` + s + `"` }

// stamp writes a time as 27.007 §8.15 and 27.005 want it: UTC, zone in quarters of an hour.
func stamp(t time.Time) string { return t.UTC().Format("06/01/02,15:04:05") + "+00" }

// reset is ATZ and AT&F: the settings of the factory; the SIM stays unlocked.
func (m *Modem) reset([]string) result {
	cfun, smsc := m.cfun, m.smsc
	m.settings = factory()
	m.cfun, m.smsc = cfun, smsc
	return success
}

func (m *Modem) identify([]string) result {
	m.reply("Manufacturer: %s", m.cfg.Vendor)
	m.reply("Model: %s", m.cfg.Model)
	m.reply("Revision: %s", m.cfg.Revision)
	m.reply("IMEI: %s", m.cfg.IMEI)
	return success
}

// restartAfter: OK goes out first, then the modem is away (27.007 §8.2).
const restartAfter = 50 * time.Millisecond

func (m *Modem) setCFUN(args []string) result {
	level, ok := argument(args, 0, 1)
	restart, ok2 := argument(args, 1, 0)
	if !ok || !ok2 || level != 0 && level != 1 && level != 4 || restart > 1 {
		return cme(50)
	}
	if restart == 1 {
		m.after(m.cfg.Think+restartAfter, m.restart)
		return success
	}
	m.cfun = level
	m.refresh()
	return success
}

func (m *Modem) setCSCS(args []string) result {
	if len(args) != 1 || !slices.Contains([]string{"GSM", "IRA", "UCS2", "HEX"}, args[0]) {
		return cme(50)
	}
	m.cscs = args[0]
	return success
}

// pinState is the answer to AT+CPIN?.
func (m *Modem) pinState() string {
	if m.card == nil {
		return "NOT INSERTED"
	}
	return m.card.state()
}

// setCPIN takes a PIN, or the PUK and a new PIN (27.007 §8.3).
func (m *Modem) setCPIN(args []string) result {
	c := m.card
	ok := false
	switch state := c.state(); {
	case c.dead():
		return cme(13)
	case state == "READY":
		return cme(3)
	case state == "SIM PIN" && len(args) == 1:
		ok = c.enter(args[0])
	case state == "SIM PUK" && len(args) == 2:
		ok = c.unblock(args[0], args[1])
	case state == "SIM PUK":
		return cme(12)
	default:
		return cme(50)
	}
	if !ok {
		return cme(16)
	}
	m.refresh()
	return success
}

func (c *Card) pinLeft() int { return max(0, pinTries-c.pinUsed) }
func (c *Card) pukLeft() int { return max(0, pukTries-c.pukUsed) }

// pinTriesLeft is AT+CPINR (27.007 §8.65).
func (m *Modem) pinTriesLeft([]string) result {
	m.reply("+CPINR: SIM PIN,%d,%d", m.card.pinLeft(), pinTries)
	m.reply("+CPINR: SIM PUK,%d,%d", m.card.pukLeft(), pukTries)
	return success
}

func (m *Modem) huaweiPIN() result {
	c := m.card
	return m.told("^CPIN: %s,,%d,%d,%d,%d", c.state(), c.pukLeft(), c.pinLeft(), pukTries, pinTries)
}

func (m *Modem) sierraPIN() result {
	c := m.card
	return m.told("+CPINC: %d,%d,%d,%d", c.pinLeft(), pinTries, c.pukLeft(), pukTries)
}

// setCSIM answers VERIFY without data, which asks for the tries left (TS 102
// 221 §11.1.9); no other APDU is known here.
func (m *Modem) setCSIM(args []string) result {
	if len(args) != 2 || args[0] != "10" {
		return cme(50)
	}
	switch args[1] {
	case "0020000100":
		return m.told(`+CSIM: 4,"63C%X"`, m.card.pinLeft())
	case "002C000100":
		return m.told(`+CSIM: 4,"63C%X"`, m.card.pukLeft())
	}
	return m.told(`+CSIM: 4,"6D00"`) // instruction not supported
}

// setCLCK only answers whether the SIM asks for a PIN (27.007 §7.4).
func (m *Modem) setCLCK(args []string) result {
	if len(args) != 2 || args[0] != "SC" || args[1] != "2" {
		return cme(4)
	}
	return m.told("+CLCK: %d", bit(m.card.PIN != ""))
}

func iccid(prefix string) func(*Modem) result {
	return func(m *Modem) result { return m.told("%s%s", prefix, m.card.ICCID) }
}

func iccidSet(prefix string) func(*Modem, []string) result {
	return func(m *Modem, _ []string) result { return iccid(prefix)(m) }
}

// registration is +CREG, +CGREG or +CEREG (27.007 §7.2, §10.1.20, §10.1.22).
func registration(name string) verb {
	return verb{
		test: "(0-2)",
		read: func(m *Modem) result { return m.told("%s: %d,%s", name, m.creg[name], m.registered(name)) },
		set:  number(0, 2, func(m *Modem, v int) result { m.creg[name] = v; return success }),
	}
}

// readCOPS names the network in the format that was set (27.007 §7.3).
func (m *Modem) readCOPS() result {
	if !canSend(m.stat()) {
		return m.told("+COPS: 0")
	}
	name := []string{"Tillpost Cell", "Tillpost", "20499"}[m.cops]
	return m.told("+COPS: 0,%d,%q,0", m.cops, name)
}

func (m *Modem) setCOPS(args []string) result {
	mode, ok := argument(args, 0, 0)
	format, ok2 := argument(args, 1, m.cops)
	if !ok || !ok2 || mode != 0 && mode != 3 || format > 2 {
		return cme(50)
	}
	m.cops = format
	return success
}

// setCUSD answers OK at once and lets the network speak later (27.007 §7.15).
func (m *Modem) setCUSD(args []string) result {
	n, ok := argument(args, 0, 0)
	if !ok || n > 2 {
		return cme(50)
	}
	if n != 1 || len(args) < 2 || args[1] == "" {
		return success
	}
	code := args[1]
	if m.packsUSSD() {
		if code, ok = unpackUSSD(code); !ok {
			return cme(100)
		}
	}
	if !canSend(m.stat()) {
		return cme(30)
	}
	answer := "+CUSD: 4" // operation not supported
	if text, known := m.cfg.USSD[code]; known {
		answer = "+CUSD: 0," + m.spellUSSD(text)
	}
	m.after(ussdAfter, func() { m.urc(answer) })
	return success
}

// ussdAfter is how long the network thinks about a code.
const ussdAfter = 500 * time.Millisecond

// packsUSSD: Huawei wants and gives USSD texts as packed septets in hex.
func (m *Modem) packsUSSD() bool { return strings.EqualFold(m.cfg.Vendor, "Huawei") }

// spellUSSD writes a text and its coding scheme (TS 23.038 §5): UCS-2 as hex
// where the default alphabet has no place for it.
func (m *Modem) spellUSSD(text string) string {
	septets, ok := toSeptets(text)
	switch {
	case !ok:
		return quote(hexUpper(toUTF16(text))) + ",72"
	case m.packsUSSD():
		return quote(packUSSD(septets)) + ",15"
	}
	return quote(m.encode(text)) + ",15"
}

// packUSSD fills seven spare bits with a CR, which would read as @ otherwise
// (TS 23.038 §6.1.2.3.1).
func packUSSD(septets []byte) string {
	if len(septets)%8 == 7 {
		septets = append(septets, '\r')
	}
	return hexUpper(pack(septets, 0))
}

func unpackUSSD(s string) (code string, ok bool) {
	octets, err := hex.DecodeString(s)
	if err != nil || len(octets) == 0 {
		return "", false
	}
	septets := unpack(octets, len(octets)*8/7, 0)
	if n := len(septets); n%8 == 0 && (septets[n-1] == '\r' || septets[n-1] == 0) {
		septets = septets[:n-1]
	}
	return fromSeptets(septets, 0, 0), true
}
