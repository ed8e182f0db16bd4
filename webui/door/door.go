// Package door decides who comes in by the front door: the set-up code of a
// new box, the passwords, and the sessions that follow from them. The password
// of the shop comes first; people.go has those of single persons.
//
// What it promises:
//
//   - A box without a password can be given one only by who has the set-up
//     code, which is shown where one must stand beside the box to read it.
//   - Guessing is slow: five wrong codes from anywhere mean a pause and a new
//     code; wrong passwords are counted per address, and one hash is computed
//     at a time, so that guessing cannot starve the box either.
//   - Neither password nor session can be read from the store.
//
// It imports queue/store.
package door

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/time/rate"

	"tillpost/queue/store"
)

// Config of a Door. DB and Dir must be set; DB must have been opened with
// Schema.
type Config struct {
	DB  *store.DB
	Dir string // the set-up code is kept here, in CodeFile

	// Announce shows a set-up code on the console, each time there is a new
	// one. Nil: nowhere.
	Announce func(code string)
	Log      *slog.Logger // nil: discard
}

// CodeFile is the file in Dir that holds the set-up code while one is valid.
const CodeFile = "setup-code"

const (
	codeLetters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // 32, without I, L, O, U
	codeLength  = 8
	codeTries   = 5
	codePause   = 60 * time.Second

	shortest = 12 // characters of a password
	longest  = 1024
)

// SessionFor is how long a browser stays logged in.
const SessionFor = 30 * 24 * time.Hour

// Errors of the door that a page must tell apart.
var (
	ErrCode     = errors.New("this is not the set-up code. It is on the console of the box, in the file setup-code of its data folder, and in the output of: tillpost status")
	ErrPassword = errors.New("this is not the password")
	ErrDone     = errors.New("a password has been set already")
)

// Wait: too many tries; ask again later.
type Wait struct{ For time.Duration }

func (w *Wait) Error() string {
	return fmt.Sprintf("too many wrong tries; wait %s", w.For.Round(time.Second))
}

// Weak: a password that is not good enough.
type Weak struct {
	Length int  // in characters
	Long   bool // too long, instead of too short
}

func (w *Weak) Error() string {
	if w.Long {
		return fmt.Sprintf("a password has at most %d bytes", longest)
	}
	return fmt.Sprintf("%d characters is short. Use at least %d; three words are easy to remember", w.Length, shortest)
}

// secret is the password as it is kept.
type secret struct {
	Name    string    `json:"name"`
	Shown   string    `json:"shown,omitempty"` // the name as it was written
	Role    Role      `json:"role,omitempty"`
	Salt    []byte    `json:"salt"`
	Hash    []byte    `json:"argon2id"`
	Time    uint32    `json:"time"`
	Memory  uint32    `json:"memory"` // KiB
	Changed time.Time `json:"changed"`
}

// session is one browser that has logged in, found by the hash of its cookie.
type session struct {
	Sum     []byte    `json:"sum"`
	Name    string    `json:"name,omitempty"` // of its secret; empty: the shop's
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

var (
	secretTable  = store.NewTable("password", func(s *secret) []byte { return store.Str(s.Name) })
	sessionTable = store.NewTable("session", func(s *session) []byte { return s.Sum })
)

// theOne is the name of the shop's own password.
const theOne = "shop"

// visit is an open session in memory.
type visit struct {
	name  string // of a secret
	until time.Time
}

func sumOf(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

// Schema is what store.Open must know.
func Schema() []store.Schema { return []store.Schema{secretTable, sessionTable} }

// Door of one box. Create it with Open.
type Door struct {
	cfg Config
	log *slog.Logger

	hashing chan struct{} // one at a time
	memory  uint32        // KiB that a new hash costs

	mu       sync.Mutex
	people   map[string]*secret // by name; without theOne no password is set
	code     string             // empty: none valid
	wrong    int                // tries at this code
	pause    time.Time
	callers  map[string]*rate.Limiter
	sessions map[[sha256.Size]byte]visit
}

// Open reads what is kept, and makes a set-up code if no password is set.
func Open(cfg Config) (*Door, error) {
	if cfg.DB == nil || cfg.Dir == "" {
		return nil, errors.New("door: Config.DB and Config.Dir must be set")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Announce == nil {
		cfg.Announce = func(string) {}
	}
	d := &Door{
		cfg: cfg, log: cfg.Log, hashing: make(chan struct{}, 1), memory: hashMemory,
		people: map[string]*secret{}, callers: map[string]*rate.Limiter{}, sessions: map[[sha256.Size]byte]visit{},
	}
	err := cfg.DB.View(func(tx *store.Tx) error {
		for s, err := range secretTable.Scan(tx, nil) {
			if err != nil {
				return err
			}
			d.people[s.Name] = s
		}
		for s, err := range sessionTable.Scan(tx, nil) {
			if err != nil {
				return err
			}
			d.sessions[[sha256.Size]byte(s.Sum)] = visit{cmp.Or(s.Name, theOne), s.Expires}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if d.people[theOne] != nil {
		return d, d.dropCode()
	}
	return d, d.newCode()
}

// IsSet reports whether a password is set.
func (d *Door) IsSet() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.people[theOne] != nil
}

// SetUp is the set-up code, empty when none is valid, and whether a password
// is set. It is for the operator's socket; never show it over the network.
func (d *Door) SetUp() (code string, done bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.code, d.people[theOne] != nil
}

// newCode makes a code, writes the file and shows it. d.mu is held or d is
// not shared yet.
func (d *Door) newCode() error {
	var b strings.Builder
	for range codeLength {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(codeLetters))))
		if err != nil {
			return fmt.Errorf("door: %w", err)
		}
		b.WriteByte(codeLetters[n.Int64()])
	}
	path := filepath.Join(d.cfg.Dir, CodeFile)
	if err := d.dropCode(); err != nil { // a new file, so that its mode is ours
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("door: the set-up code cannot be written: %w", err)
	}
	_, err = f.WriteString(b.String() + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("door: the set-up code cannot be written: %w", err)
	}
	d.code, d.wrong = b.String(), 0
	d.cfg.Announce(d.code)
	return nil
}

func (d *Door) dropCode() error {
	d.code = ""
	if err := os.Remove(filepath.Join(d.cfg.Dir, CodeFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("door: the old set-up code cannot be removed: %w", err)
	}
	return nil
}

// spelled reads a code as people type it: any case, blanks and dashes between,
// the letters that look like digits.
var spelled = strings.NewReplacer(" ", "", "-", "", "I", "1", "L", "1", "O", "0", "U", "V")

// First sets the first password, given the set-up code, which then is spent.
// Errors: ErrCode, *Wait, *Weak, ErrDone.
func (d *Door) First(ctx context.Context, code, password string) error {
	if err := strong(password); err != nil {
		return err
	}
	spent, err := d.tryCode(code)
	if err != nil {
		return err
	}
	if err := d.SetPassword(ctx, password); err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.people[theOne] == nil {
			d.code = spent // nothing was set, so the code is good still
		}
		return err
	}
	return nil
}

// tryCode compares, and spends the code if it fits: of two at the same moment
// one comes in.
func (d *Door) tryCode(code string) (spent string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.people[theOne] != nil {
		return "", ErrDone
	}
	if left := time.Until(d.pause); left > 0 {
		return "", &Wait{left}
	}
	code = spelled.Replace(strings.ToUpper(strings.TrimSpace(code)))
	if d.code != "" && subtle.ConstantTimeCompare([]byte(code), []byte(d.code)) == 1 {
		d.code = ""
		return code, nil
	}
	d.wrong++
	if d.wrong < codeTries {
		return "", ErrCode
	}
	d.pause = time.Now().Add(codePause)
	d.log.Warn("five wrong set-up codes; there is a new one, and a pause", "pause", codePause)
	if err := d.newCode(); err != nil {
		return "", err
	}
	return "", &Wait{codePause}
}

func strong(password string) error {
	n := utf8.RuneCountInString(password)
	if len(password) > longest {
		return &Weak{Length: n, Long: true}
	}
	if n < shortest {
		return &Weak{Length: n}
	}
	return nil
}

// SetPassword sets or changes the password of the shop and ends every session.
// Errors: *Weak.
func (d *Door) SetPassword(ctx context.Context, password string) error {
	s, err := d.newSecret(ctx, theOne, password)
	if err != nil {
		return err
	}
	err = d.cfg.DB.Commit(ctx, func(tx *store.Tx) error {
		if err := endSessions(tx, "*"); err != nil {
			return err
		}
		return secretTable.Put(tx, s)
	})
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.people[theOne] = s
	clear(d.sessions)
	d.log.Info("the password of the page was set")
	return d.dropCode()
}

// Cost of a hash: one of the pairs of the Argon2 guidance for small memory
// (OWASP password storage: 12 MiB, 3 passes), which a board with 512 MB can
// spare.
const (
	hashTime   = 3
	hashMemory = 12 * 1024
	hashLength = 32
)

// hash computes argon2id, one at a time.
func (d *Door) hash(ctx context.Context, password string, s *secret) ([]byte, error) {
	select {
	case d.hashing <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-d.hashing }()
	return argon2.IDKey([]byte(password), s.Salt, s.Time, s.Memory, 1, hashLength), nil
}

// Limits of one address: five tries at once, then one every ten seconds.
const (
	loginEach  = 10 * time.Second
	loginBurst = 5
	maxCallers = 1000
)

// Login opens a session for who knows the password that belongs to a name; the
// shop's has none. from is the address of the caller. Errors: ErrPassword,
// *Wait.
func (d *Door) Login(ctx context.Context, from, name, password string) (token string, err error) {
	d.mu.Lock()
	s, limiter := d.people[key(name)], d.limiter(from)
	known := s != nil
	if !known { // a name that nobody has takes as long as a wrong password
		s = d.people[theOne]
	}
	d.mu.Unlock()
	if s == nil {
		return "", ErrPassword
	}
	if r := limiter.Reserve(); r.Delay() > 0 {
		wait := r.Delay()
		r.Cancel()
		return "", &Wait{wait}
	}
	hash, err := d.hash(ctx, password[:min(len(password), longest)], s)
	if err != nil {
		return "", err
	}
	if subtle.ConstantTimeCompare(hash, s.Hash) != 1 || !known {
		d.log.Warn("wrong password at the page", "from", from)
		return "", ErrPassword
	}
	token = rand.Text() + rand.Text()
	sum := sumOf(token)
	now := time.Now()
	row := &session{Sum: sum[:], Name: s.Name, Created: now, Expires: now.Add(SessionFor)}
	if err := d.cfg.DB.Commit(ctx, func(tx *store.Tx) error { return sessionTable.Put(tx, row) }); err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.people[s.Name] != s { // changed meanwhile: what was known is worth nothing
		return "", ErrPassword
	}
	d.sessions[sum] = visit{s.Name, row.Expires}
	return token, nil
}

// limiter of an address. d.mu is held. The table is bounded: an attacker with
// many addresses empties it, and meets the single hash at a time.
func (d *Door) limiter(from string) *rate.Limiter {
	if l := d.callers[from]; l != nil {
		return l
	}
	if len(d.callers) >= maxCallers {
		clear(d.callers)
	}
	l := rate.NewLimiter(rate.Every(loginEach), loginBurst)
	d.callers[from] = l
	return l
}

// Valid reports whether token belongs to a session that is open.
func (d *Door) Valid(token string) bool {
	_, open := d.Who(token)
	return open
}

// Logout ends a session.
func (d *Door) Logout(ctx context.Context, token string) error {
	sum := sumOf(token)
	d.mu.Lock()
	_, open := d.sessions[sum]
	delete(d.sessions, sum)
	d.mu.Unlock()
	if !open {
		return nil
	}
	return d.cfg.DB.Commit(ctx, func(tx *store.Tx) error { return sessionTable.Delete(tx, sum[:]) })
}

// Run forgets sessions that are over, until ctx ends.
func (d *Door) Run(ctx context.Context) {
	tick := time.NewTicker(6 * time.Hour)
	defer tick.Stop()
	for {
		if err := d.sweep(ctx); err != nil && ctx.Err() == nil {
			d.log.Error("old sessions could not be removed", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (d *Door) sweep(ctx context.Context) error {
	var over [][sha256.Size]byte
	d.mu.Lock()
	for sum, v := range d.sessions {
		if time.Now().After(v.until) {
			over = append(over, sum)
			delete(d.sessions, sum)
		}
	}
	d.mu.Unlock()
	if len(over) == 0 {
		return nil // an empty commit would write
	}
	return d.cfg.DB.Commit(ctx, func(tx *store.Tx) error {
		for _, sum := range over {
			if err := sessionTable.Delete(tx, sum[:]); err != nil {
				return err
			}
		}
		return nil
	})
}
