package main

import (
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/queue/text"
	"tillpost/smpp"
)

// SMPP is one [[smpp]].
type SMPP struct {
	Name         string   `toml:"name"`
	Addr         string   `toml:"addr"`
	Addrs        []string `toml:"addrs"`
	SystemID     string   `toml:"system_id"`
	PasswordFile string   `toml:"password_file"`
	Password     secret   `toml:"password"` // inline, or what PasswordFile holds
	SystemType   string   `toml:"system_type"`
	Bind         string   `toml:"bind"` // transceiver | pair
	Binds        int      `toml:"binds"`
	TLS          bool     `toml:"tls"`
	TLSName      string   `toml:"tls_name"`    // in the certificate; empty: the host of addr
	TLSCAFile    string   `toml:"tls_ca_file"` // vouches for the certificate; empty: the system's authorities
	Window       int      `toml:"window"`
	PartsPerSec  int      `toml:"parts_per_second"` // 0: no limit

	Source      string   `toml:"source"`
	SourceTON   *int     `toml:"source_ton"` // nil: follows from Source, as the next three
	SourceNPI   *int     `toml:"source_npi"`
	DestTON     *int     `toml:"dest_ton"`
	DestNPI     *int     `toml:"dest_npi"`
	ServiceType string   `toml:"service_type"`
	TLVs        []string `toml:"tlvs"`  // "0x1400=616263": tag and octets, in every part
	Codes       []string `toml:"codes"` // "0x0401=reject": the provider's own meaning of a status

	Alphabet     string `toml:"alphabet"`      // gsm7 | latin1: what data_coding 0 means there
	CodingGSM7   int    `toml:"coding_gsm7"`   // data_coding of texts in it
	CodingUCS2   int    `toml:"coding_ucs2"`   // data_coding of the others
	LongMessages string `toml:"long_messages"` // udh | sar | payload

	ReceiptID        string        `toml:"receipt_id"` // auto | same | hex-dec | dec-hex
	Validity         time.Duration `toml:"validity"`   // 0: until the message expires
	ValidityFormat   string        `toml:"validity_format"`
	SendTimeout      time.Duration `toml:"send_timeout"`      // patience for one submit_sm_resp
	MessageReference bool          `toml:"message_reference"` // each part carries a user_message_reference
	Pool             string        `toml:"pool"`

	secure *tls.Config // nil: a plain connection
	tlvs   map[uint16][]byte
	codes  map[uint32]route.Fate
}

func (s *SMPP) defaults() {
	s.Bind, s.Binds, s.Window = smpp.BindTransceiver, 1, 10
	s.Alphabet, s.CodingUCS2, s.LongMessages = smpp.AlphabetGSM7, 8, smpp.LongUDH
	s.ReceiptID, s.Validity, s.ValidityFormat = smpp.IDAuto, 24*time.Hour, smpp.ValidityRelative
	s.SendTimeout, s.Pool = 60*time.Second, queue.DefaultPool
}

// route is [[smpp]] as the route reads it, once it is valid.
func (s *SMPP) route(memory route.Memory, log *slog.Logger) smpp.Config {
	addrs := s.Addrs
	if s.Addr != "" {
		addrs = []string{s.Addr}
	}
	return smpp.Config{
		Name: s.Name, Addrs: addrs,
		SystemID: s.SystemID, Password: string(s.Password), SystemType: s.SystemType,
		Bind: s.Bind, Binds: s.Binds, TLS: s.secure,
		Window: s.Window, PartsPerSecond: s.PartsPerSec,
		Source: s.Source, SourceTON: s.SourceTON, SourceNPI: s.SourceNPI, DestTON: s.DestTON, DestNPI: s.DestNPI,
		ServiceType: s.ServiceType, TLVs: s.tlvs, Codes: s.codes,
		Alphabet: s.Alphabet, CodingGSM7: byte(s.CodingGSM7), CodingUCS2: byte(s.CodingUCS2), LongMessages: s.LongMessages,
		ReceiptID: s.ReceiptID, Validity: s.Validity, ValidityFormat: s.ValidityFormat,
		MessageReference: s.MessageReference, SendTimeout: s.SendTimeout,
		Memory: memory, Log: log,
	}
}

// validate checks one [[smpp]], all but its name. What the route would refuse
// is refused here: a file that passes must start.
func (s *SMPP) validate(ps *problems, at string) {
	before := len(ps.list)
	if (s.Addr == "") == (len(s.Addrs) == 0) {
		ps.fault(at, `must say where the SMSC is, by either addr = "host:2775" or addrs = ["…", "…"]`)
	}
	if s.Addr != "" {
		ps.dialAddress(at+".addr", s.Addr)
	}
	for k, addr := range s.Addrs {
		ps.dialAddress(fmt.Sprintf("%s.addrs[%d]", at, k), addr)
	}
	// SMPP 3.4 §4.1.1, §5.2.11: C-octet strings with their terminating zero. Of
	// a password it allows 8, but some providers give longer ones.
	ps.octets(at+".system_id", s.SystemID, 1, 15)
	ps.octets(at+".password", string(s.Password), 0, 63)
	if n := len(s.Password); n > 8 && n <= 63 {
		ps.warn(at+".password", "has %d characters, SMPP 3.4 allows 8: right if the operator's letter says so, but some SMSCs refuse it", n)
	}
	ps.octets(at+".system_type", s.SystemType, 0, 12)
	ps.octets(at+".service_type", s.ServiceType, 0, 5)
	if _, err := text.ParseSender(s.Source); err != nil {
		_, why, _ := strings.Cut(err.Error(), ": ")
		ps.fault(at+".source", "%s", why)
	}
	ps.oneOf(at+".bind", s.Bind, smpp.BindTransceiver, smpp.BindPair)
	ps.oneOf(at+".alphabet", s.Alphabet, smpp.AlphabetGSM7, smpp.AlphabetLatin1)
	ps.oneOf(at+".long_messages", s.LongMessages, smpp.LongUDH, smpp.LongSAR, smpp.LongPayload)
	ps.oneOf(at+".receipt_id", s.ReceiptID, smpp.IDAuto, smpp.IDSame, smpp.IDHexDec, smpp.IDDecHex)
	ps.oneOf(at+".validity_format", s.ValidityFormat, smpp.ValidityRelative, smpp.ValidityAbsolute, smpp.ValidityNone)
	ps.between(at+".binds", s.Binds, 1, 16)
	ps.between(at+".window", s.Window, 1, 1000)
	ps.between(at+".parts_per_second", s.PartsPerSec, 0, 100_000)
	ps.between(at+".coding_gsm7", s.CodingGSM7, 0, 255)
	ps.between(at+".coding_ucs2", s.CodingUCS2, 1, 255)
	for key, n := range map[string]*int{"source_ton": s.SourceTON, "dest_ton": s.DestTON} {
		if n != nil {
			ps.between(at+"."+key, *n, 0, 6) // SMPP 3.4 §5.2.5
		}
	}
	for key, n := range map[string]*int{"source_npi": s.SourceNPI, "dest_npi": s.DestNPI} {
		if n != nil {
			ps.between(at+"."+key, *n, 0, 18) // SMPP 3.4 §5.2.6
		}
	}
	if s.Validity != 0 {
		ps.atLeast(at+".validity", int64(s.Validity/time.Minute), 5, ` minutes, or "0s" for as long as the message is valid`)
	}
	ps.atLeast(at+".send_timeout", int64(s.SendTimeout/time.Second), 1, " second")
	ps.poolName(at+".pool", s.Pool)
	s.readTLS(ps, at)
	s.readTLVs(ps, at)
	s.readCodes(ps, at)
	told := slices.ContainsFunc(ps.list[before:], func(p problem) bool { return !p.mild })
	if told || !nameForm.MatchString(s.Name) {
		return
	}
	if err := s.route(nil, slog.New(slog.DiscardHandler)).Check(); err != nil {
		field, why, _ := strings.Cut(err.Error(), ": ")
		ps.fault(at+"."+field, "%s", why)
	}
}

// readTLS makes the settings of the connection.
func (s *SMPP) readTLS(ps *problems, at string) {
	if !s.TLS {
		for _, f := range []struct{ key, value string }{{"tls_name", s.TLSName}, {"tls_ca_file", s.TLSCAFile}} {
			if f.value != "" {
				ps.fault(at+"."+f.key, "is of no use without TLS; write tls = true beside it, or leave it out")
			}
		}
		return
	}
	s.secure = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.TLSName}
	if s.TLSName != "" && !hostForm.MatchString(s.TLSName) {
		ps.fault(at+".tls_name", "%q is not a host name; write the name that stands in the SMSC's certificate", s.TLSName)
	}
	if s.TLSCAFile != "" {
		s.secure.RootCAs = ps.authority(at+".tls_ca_file", s.TLSCAFile, "openssl s_client -showcerts -connect HOST:PORT")
	}
}

// readTLVs reads the optional parameters that every part shall carry.
func (s *SMPP) readTLVs(ps *problems, at string) {
	s.tlvs = make(map[uint16][]byte)
	for i, line := range s.TLVs {
		key := fmt.Sprintf("%s.tlvs[%d]", at, i)
		name, value, _ := strings.Cut(line, "=")
		tag, err := strconv.ParseUint(strings.TrimSpace(name), 0, 16)
		octets, herr := hex.DecodeString(strings.TrimSpace(value))
		switch {
		case err != nil || herr != nil || !strings.Contains(line, "="):
			ps.fault(key, `%q is no optional parameter; write its tag and its octets in hex, such as "0x1400=616263"`, line)
		case s.tlvs[uint16(tag)] != nil:
			ps.fault(key, "0x%04X is given twice; keep one", tag)
		default:
			s.tlvs[uint16(tag)] = octets
		}
	}
}

// readCodes reads what status codes of its own an SMSC has, and what they mean
// for a message.
func (s *SMPP) readCodes(ps *problems, at string) {
	s.codes = make(map[uint32]route.Fate)
	for i, line := range s.Codes {
		key := fmt.Sprintf("%s.codes[%d]", at, i)
		name, fate, _ := strings.Cut(line, "=")
		code, err := strconv.ParseUint(strings.TrimSpace(name), 0, 32)
		word := route.Fate(strings.TrimSpace(fate))
		switch {
		case err != nil || code == 0 || word != route.Retry && word != route.Reject:
			ps.fault(key, `%q is no meaning of a status; write "0x0401=retry" (later perhaps) or "0x0401=reject" (never)`, line)
		case s.codes[uint32(code)] != "":
			ps.fault(key, "0x%X is given twice; keep one", code)
		default:
			s.codes[uint32(code)] = word
		}
	}
}

// octets checks the length of a text that SMPP sends as ASCII; the value may
// be a secret, so it is not repeated.
func (ps *problems) octets(path, value string, least, most int) {
	for _, r := range value {
		if r < ' ' || r > '~' {
			ps.fault(path, "holds a character that is not plain ASCII; SMPP has no room for others")
			return
		}
	}
	switch {
	case value == "" && least > 0:
		ps.fault(path, "is missing; the operator's letter with your account names it")
	case len(value) > most:
		ps.fault(path, "has %d characters, at most %d are possible", len(value), most)
	}
}

// attachSMPP gives the queue one SMSC.
func attachSMPP(q *queue.Queue, s *SMPP, log *slog.Logger) error {
	r, err := smpp.New(s.route(q.Memory(s.Name), log.With("route", s.Name)))
	if err != nil {
		return fmt.Errorf("smpp %q: %w", s.Name, err)
	}
	if err := q.Attach(r, s.Pool); err != nil {
		return fmt.Errorf("smpp %q: %w", s.Name, err)
	}
	return nil
}
