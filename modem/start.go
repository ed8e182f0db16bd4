package modem

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/modem/at"
)

// step is one line of the start-up sequence: the spellings of a command, tried
// in turn until one is answered with OK.
type step struct {
	try  []string
	own  func(*profile) []string // instead of try: the family's spellings
	wait time.Duration
	must bool // the modem is of no use without it
	all  bool // not in turn: each of them
	read func(s *session, lines []string)
}

// The start-up sequence that is safe everywhere (field-notes §1.3), with what
// the family's profile puts into it: what tells who it is, what it wants then,
// and what needs the SIM unlocked. ATZ is left out: it only resets what is set
// here anyway, and on some modems more than that.
var (
	whoIsIt = []step{
		{try: []string{"ATE0"}, wait: 2 * time.Second},
		{try: []string{"ATV1"}, wait: 2 * time.Second},
		{try: []string{"ATQ0"}, wait: 2 * time.Second},
		{try: []string{"AT+CMEE=1"}, wait: 2 * time.Second}, // numbers beat words, which differ per vendor
		{try: []string{"AT+CGMI", "AT+GMI"}, wait: 5 * time.Second, read: func(s *session, l []string) { s.maker = plain(l, "+CGMI", "+GMI") }},
		{try: []string{"AT+CGMM", "AT+GMM"}, wait: 5 * time.Second, read: func(s *session, l []string) { s.model = plain(l, "+CGMM", "+GMM") }},
		{try: []string{"AT+CGSN", "AT+GSN"}, wait: 5 * time.Second, read: func(s *session, l []string) { s.imei = digits(l, 14, 16) }},
	}
	byItself = []step{ // for one that tells neither maker nor model
		{try: []string{"ATI"}, wait: 5 * time.Second, read: func(s *session, l []string) { s.model = strings.Join(l, " ") }},
	}
	asItWants = []step{
		{own: func(p *profile) []string { return p.prepare }, all: true, wait: 10 * time.Second},
		{try: []string{"AT+CFUN?"}, wait: 5 * time.Second, read: func(s *session, l []string) { s.functional = plain(l, "+CFUN") }},
	}
	whichSIM = []step{ // before its PIN, as far as the modem tells
		{own: func(p *profile) []string { return p.card }, wait: 5 * time.Second, read: readICCID},
	}
	withSIM = []step{
		{try: []string{"AT+CIMI"}, wait: 5 * time.Second, read: func(s *session, l []string) { s.imsi = digits(l, 14, 15) }},
		whichSIM[0],
		{try: []string{"AT+CMGF=0"}, wait: 2 * time.Second, must: true},
		{try: []string{"AT+CSMS=1"}, wait: 5 * time.Second},
		{try: []string{"AT+CSMS?"}, wait: 5 * time.Second, read: func(s *session, l []string) {
			s.confirms = strings.HasPrefix(plain(l, "+CSMS"), "1")
		}},
		{own: func(p *profile) []string { return p.storage }, wait: 10 * time.Second},
		{try: []string{"AT+CPMS?"}, wait: 10 * time.Second, read: readStorage},
		{try: []string{"AT+CREG=1"}, wait: 5 * time.Second},
		{try: []string{"AT+CGREG=1"}, wait: 5 * time.Second},
		{try: []string{"AT+CEREG=1"}, wait: 5 * time.Second},
		{try: []string{"AT+COPS=3,0"}, wait: 5 * time.Second}, // names, not numbers; changes nothing else
		{own: func(p *profile) []string { return p.clock }, all: true, wait: 5 * time.Second, read: func(s *session, _ []string) { s.keepsTime = true }},
	}
	ownNumber = []step{
		{try: []string{"AT+CNUM"}, wait: 5 * time.Second, read: readNumber},
	}
)

// sequence runs steps. An answer that does not come ends it; a refusal only if
// the step is a must.
func (s *session) sequence(ctx context.Context, steps []step) error {
	for _, st := range steps {
		try := st.try
		if st.own != nil {
			try = st.own(s.profile)
		}
		var refusal *at.Error
		for _, cmd := range try {
			lines, err := s.conn.Command(ctx, cmd, st.wait)
			if e, ok := errors.AsType[*at.Error](err); ok {
				refusal = e
				continue
			}
			if err != nil {
				return err
			}
			refusal = nil
			if st.read != nil {
				st.read(s, lines)
			}
			if !st.all {
				break
			}
		}
		if refusal != nil && st.must {
			return refusal
		}
	}
	return nil
}

// identify learns who the modem is and which family's ways it has.
func (s *session) identify(ctx context.Context) error {
	s.maker, s.model = "", ""
	if err := s.sequence(ctx, whoIsIt); err != nil {
		return err
	}
	if s.maker == "" && s.model == "" {
		if err := s.sequence(ctx, byItself); err != nil {
			return err
		}
	}
	s.profile = profileOf(s.maker + " " + s.model)
	s.conn.Pace(s.profile.gap, s.profile.promptGap)
	s.log.Info("the modem is known", "maker", s.maker, "model", s.model, "profile", s.profile.family)
	return nil
}

// plain returns the answer behind one of the prefixes, or the first line
// without a prefix. Quotes are taken off.
func plain(lines []string, prefixes ...string) string {
	for _, p := range prefixes {
		if v, ok := at.Find(lines, p); ok {
			return strings.Trim(v, `"`)
		}
	}
	for _, l := range lines {
		if l != "" && !strings.ContainsAny(l[:1], "+^*#_$") {
			return strings.Trim(l, `"`)
		}
	}
	return ""
}

// digits finds the first run of digits of a plausible length, wherever it
// stands: "+CGSN: 352099001761481", "IMEI: …", or bare behind other lines.
func digits(lines []string, least, most int) string {
	for _, l := range lines {
		for _, run := range strings.FieldsFunc(l, func(r rune) bool { return r < '0' || r > '9' }) {
			if len(run) >= least && len(run) <= most {
				return run
			}
		}
	}
	return ""
}

func readICCID(s *session, lines []string) {
	if v := cardNumber(lines); v != "" {
		s.iccid = v
	}
}

// cardNumber reads an ICCID: 19 or 20 digits that begin with 89 (ITU-T E.118),
// some padded with F, some with the nibbles swapped as they lie on the card.
func cardNumber(lines []string) string {
	for _, l := range lines {
		for _, run := range strings.FieldsFunc(strings.ToUpper(l), func(r rune) bool { return (r < '0' || r > '9') && r != 'F' }) {
			if len(run) < 18 || len(run) > 22 {
				continue
			}
			if strings.HasPrefix(run, "98") {
				b := []byte(run)
				for i := 0; i+1 < len(b); i += 2 {
					b[i], b[i+1] = b[i+1], b[i]
				}
				run = string(b)
			}
			if run = strings.TrimRight(run, "F"); strings.HasPrefix(run, "89") && !strings.Contains(run, "F") {
				return run
			}
		}
	}
	return ""
}

// readNumber takes the first number of `+CNUM: "own","+3197…",145` (27.007 §7.1).
func readNumber(s *session, lines []string) {
	v, ok := at.Find(lines, "+CNUM")
	f := strings.Split(v, ",")
	if !ok || len(f) < 2 {
		return
	}
	if n := strings.Trim(f[1], `" `); len(n) > 2 {
		s.number = n
	}
}

// readStorage notes where messages are read from. Some Huawei sticks answer
// with counters only: then it is the first that was set, the SIM.
func readStorage(s *session, lines []string) {
	s.storage, s.writesTo = "SM", "SM"
	v, ok := at.Find(lines, "+CPMS")
	f := strings.Split(v, ",") // name, used and total, three times (27.005 §3.2.2)
	if !ok || !strings.HasPrefix(v, `"`) {
		return
	}
	s.storage = strings.Trim(f[0], `" `)
	if len(f) > 3 {
		s.writesTo = strings.Trim(f[3], `" `)
	}
}

// announce sets AT+CNMI, trying the family's ways in turn. What AT+CNMI=? lists
// is a hint: ways that it does not list come last, not never.
func (s *session) announce(ctx context.Context) error {
	ways := s.profile.announce
	lines, err := s.conn.Command(ctx, "AT+CNMI=?", 5*time.Second)
	if _, refused := errors.AsType[*at.Error](err); err != nil && !refused {
		return err
	}
	if v, ok := at.Find(lines, "+CNMI"); ok {
		listed := ranges(v)
		ways = slices.Clone(ways)
		slices.SortStableFunc(ways, func(a, b [5]int) int { return unlisted(a, listed) - unlisted(b, listed) })
	}
	for _, w := range ways {
		cmd := "AT+CNMI=" + strings.Join([]string{strconv.Itoa(w[0]), strconv.Itoa(w[1]), strconv.Itoa(w[2]), strconv.Itoa(w[3]), strconv.Itoa(w[4])}, ",")
		_, err := s.conn.Command(ctx, cmd, 5*time.Second)
		if err == nil {
			s.reports = w[3]
			if s.reports == 0 {
				s.log.Warn("this modem announces no delivery reports")
			}
			return nil
		}
		if _, refused := errors.AsType[*at.Error](err); !refused {
			return err
		}
	}
	s.reports = 0
	s.log.Warn("this modem announces nothing; messages are found by looking every minute, reports are not")
	return nil
}

func unlisted(w [5]int, listed [][]int) int {
	for i, v := range w {
		if i < len(listed) && !slices.Contains(listed[i], v) {
			return 1
		}
	}
	return 0
}

// ranges reads "(0-2),(0,1),(0)" (27.007 §3.2: the form of a test answer).
func ranges(v string) [][]int {
	var all [][]int
	for _, group := range strings.SplitAfter(v, ")") {
		group = strings.Trim(group, ", ()")
		if group == "" {
			continue
		}
		var values []int
		for _, item := range strings.Split(group, ",") {
			from, to, isRange := strings.Cut(strings.TrimSpace(item), "-")
			lo, err := strconv.Atoi(from)
			if err != nil {
				continue
			}
			hi := lo
			if isRange {
				if hi, err = strconv.Atoi(to); err != nil || hi-lo > 100 {
					continue
				}
			}
			for n := lo; n <= hi; n++ {
				values = append(values, n)
			}
		}
		all = append(all, values)
	}
	return all
}
