package modem

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tillpost/modem/at"
	"tillpost/queue/route"
)

// registered is what the network says of us.
type registered struct {
	network
	denied bool // it refuses the SIM: waiting alone does not help
}

// domains are asked in this order: circuit switched first, as a message needs
// it, but any of them will do (field-notes §1.9).
var domains = []string{"+CREG", "+CGREG", "+CEREG"}

// deniedStates of registration.csv: denied, emergency calls only.
var deniedStates = map[int]bool{3: true, 8: true, 11: true}

// askNetwork asks all domains. A modem that answers none of them is taken at
// its word when it sends.
func (s *session) askNetwork(ctx context.Context) (registered, error) {
	worst := registered{network: network{"the modem does not tell", true}}
	for i, d := range domains {
		lines, err := s.conn.Command(ctx, "AT"+d+"?", 5*time.Second)
		if isLost(err) {
			return worst, err
		}
		v, ok := at.Find(lines, d)
		if err != nil || !ok {
			continue
		}
		stat, ok := registrationState(v)
		if !ok {
			continue
		}
		n := registered{tables().registration[stat], deniedStates[stat]}
		if n.CanSend {
			return n, nil
		}
		if i == 0 || worst.CanSend {
			worst = n
		}
	}
	return worst, nil
}

// registrationState reads <stat> from the answer "n,stat[,…]" or from the
// unsolicited "stat[,…]" (27.007 §7.2).
func registrationState(v string) (int, bool) {
	fields := strings.Split(v, ",")
	if len(fields) > 1 && !strings.HasPrefix(strings.TrimSpace(fields[1]), `"`) {
		fields = fields[1:]
	}
	n, err := strconv.Atoi(strings.TrimSpace(fields[0]))
	return n, err == nil
}

// askSignal returns the level in dBm; nil if the modem does not know.
func (s *session) askSignal(ctx context.Context) (*int, error) {
	lines, err := s.conn.Command(ctx, "AT+CSQ", 5*time.Second)
	if isLost(err) {
		return nil, err
	}
	if v, ok := at.Find(lines, "+CSQ"); ok {
		if dBm, ok := level("csq", v, 0); ok {
			return &dBm, nil
		}
	}
	// On LTE CSQ often stays at 99.
	lines, err = s.conn.Command(ctx, "AT+CESQ", 5*time.Second)
	if isLost(err) {
		return nil, err
	}
	v, ok := at.Find(lines, "+CESQ")
	if !ok {
		return nil, nil
	}
	for _, scale := range cesq {
		if dBm, ok := level(scale.name, v, scale.field); ok {
			return &dBm, nil
		}
	}
	return nil, nil
}

// cesq names the fields of +CESQ: rxlev,ber,rscp,ecno,rsrq,rsrp (27.007 §8.69).
var cesq = []struct {
	name  string
	field int
}{{"cesq_rsrp", 5}, {"cesq_rscp", 2}, {"cesq_rxlev", 0}}

func level(scale, v string, field int) (int, bool) {
	fields := strings.Split(v, ",")
	if field >= len(fields) {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(fields[field]))
	if err != nil {
		return 0, false
	}
	dBm, ok := tables().signal[scale][n]
	return dBm, ok
}

// technologies of +COPS (27.007 §7.3).
var technologies = map[string]string{
	"0": "GSM", "1": "GSM", "2": "UMTS", "3": "GSM", "4": "UMTS", "5": "UMTS", "6": "UMTS", "7": "LTE", "9": "LTE", "10": "LTE", "11": "NR", "12": "NR", "13": "LTE",
}

// askOperator returns the network's name and technology.
func (s *session) askOperator(ctx context.Context) (name, tech string, err error) {
	lines, err := s.conn.Command(ctx, "AT+COPS?", 10*time.Second)
	if isLost(err) {
		return "", "", err
	}
	v, ok := at.Find(lines, "+COPS")
	if !ok {
		return "", "", nil
	}
	// mode,format,"name",act: the name may hold a comma.
	if open := strings.IndexByte(v, '"'); open >= 0 {
		if end := strings.LastIndexByte(v, '"'); end > open {
			name = v[open+1 : end]
			v = v[end+1:]
		}
	}
	if i := strings.LastIndexByte(v, ','); i >= 0 && name != "" {
		tech = technologies[strings.TrimSpace(v[i+1:])]
	}
	return name, tech, nil
}

// weakAt is a level at which messages are slow, in dBm (field-notes §1.9).
const (
	weakAt  = -95
	weakFor = 10 * time.Minute
)

// weak follows the level and says, in words, when it has been low for long.
type weak struct{ since time.Time }

func (w *weak) note(dBm *int) string {
	switch {
	case dBm == nil || *dBm > weakAt:
		w.since = time.Time{}
	case w.since.IsZero():
		w.since = time.Now()
	case time.Since(w.since) >= weakFor:
		return fmt.Sprintf("the signal has been at %d dBm or less for more than %v", weakAt, weakFor)
	}
	return ""
}

// look asks what the page shows, while nothing else is going on.
func (s *session) look(ctx context.Context, w *weak) error {
	dBm, err := s.askSignal(ctx)
	if err != nil {
		return err
	}
	s.m.publish(func(st *route.Status) { st.Signal = dBm })
	s.m.worry("weak_signal", w.note(dBm))
	return nil
}
