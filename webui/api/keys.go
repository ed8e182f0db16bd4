package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tillpost/queue/store"
	"tillpost/webui/api/wire"
)

// Scope is one thing a key may do.
type Scope string

const (
	Send   Scope = "send"   // messages and previews; sees its own messages only
	Read   Scope = "read"   // every message, the inbox, events, routes, metrics
	Manage Scope = "manage" // contacts, consents, templates, bookings, rules, campaigns
	Admin  Scope = "admin"  // actions on routes, keys, settings, backup
	Query  Scope = "query"  // the forms with the key in the address, from the LAN
)

// Scopes in the order in which they are shown.
var Scopes = []Scope{Send, Read, Manage, Admin, Query}

// keyRow is a key as it is kept: without the key.
type keyRow struct {
	Name    string    `json:"name"`
	Sum     []byte    `json:"sha256"`
	Scopes  []Scope   `json:"scopes"`
	Hosts   []string  `json:"callback_hosts,omitempty"` // that it may name in callback
	PerHour int       `json:"per_hour,omitempty"`       // messages; 0: no limit, as the next
	PerDay  int       `json:"per_day,omitempty"`
	Created time.Time `json:"created"`
	By      string    `json:"by,omitempty"`
}

var keyTable = store.NewTable("key", func(k *keyRow) []byte { return store.Str(k.Name) })

// A key has 160 random bits, so that its bare SHA-256 can be kept: there is
// nothing to guess that a slow hash would make slower.
var (
	keyText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	keyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._ -]{0,63}$`)
)

const (
	keyPrefix = "tp_"
	keyBytes  = 20

	// ByPage names in stories who decided at the page. No key may be called so.
	ByPage = "page"
)

// keyring is every key in memory, found by its hash. It is replaced whole when
// one is added or revoked; the store is the truth.
type keyring struct {
	db  *store.DB
	all atomic.Pointer[map[[sha256.Size]byte]*keyRow]
}

func openKeyring(db *store.DB) (*keyring, error) {
	k := &keyring{db: db}
	return k, db.View(k.load)
}

// load reads all keys as tx sees them.
func (k *keyring) load(tx *store.Tx) error {
	all := map[[sha256.Size]byte]*keyRow{}
	for row, err := range keyTable.Scan(tx, nil) {
		if err != nil {
			return err
		}
		all[[sha256.Size]byte(row.Sum)] = row
	}
	k.all.Store(&all)
	return nil
}

// find returns the key whose text this is, or nil. What is compared is a hash
// of what was sent: how long it takes says nothing about any key.
func (k *keyring) find(text string) *keyRow {
	return (*k.all.Load())[sha256.Sum256([]byte(text))]
}

// valid reports whether a key found earlier has not been revoked since.
func (k *keyring) valid(row *keyRow) bool {
	return (*k.all.Load())[[sha256.Size]byte(row.Sum)] == row
}

// AddKey makes a plain key: see MakeKey.
func (a *API) AddKey(ctx context.Context, name string, scopes []Scope, by string) (string, error) {
	in := wire.NewKey{Name: name}
	for _, s := range scopes {
		in.Scopes = append(in.Scopes, string(s))
	}
	return a.MakeKey(ctx, in, by)
}

// MakeKey makes a key and returns its text, which is kept nowhere. by is who
// asked for it. Its error is a *wire.Problem, or one of the store.
func (a *API) MakeKey(ctx context.Context, in wire.NewKey, by string) (string, error) {
	scopes := make([]Scope, len(in.Scopes))
	for i, s := range in.Scopes {
		scopes[i] = Scope(s)
	}
	name := in.Name
	if err := validKey(name, scopes); err != nil {
		return "", err
	}
	if err := validLimits(in); err != nil {
		return "", err
	}
	raw := make([]byte, keyBytes)
	rand.Read(raw) // never fails (crypto/rand)
	text := keyPrefix + keyText.EncodeToString(raw)
	sum := sha256.Sum256([]byte(text))
	row := &keyRow{
		Name: name, Sum: sum[:], Scopes: scopes, Hosts: in.CallbackHosts, PerHour: in.PerHour, PerDay: in.PerDay,
		Created: a.queue.Now(), By: by,
	}
	err := a.db.Commit(ctx, func(tx *store.Tx) error {
		if err := keyTable.Insert(tx, row); err != nil {
			return err
		}
		return a.keys.reload(tx)
	})
	if errors.Is(err, store.ErrExists) {
		return "", refusal(http.StatusConflict, "name_taken", "name",
			fmt.Sprintf("there is a key called %q; it was shown once, when it was made. Revoke it, or choose another name", name))
	}
	if err != nil {
		return "", err
	}
	a.log.Info("key added", "name", name, "scopes", scopes, "by", by)
	return text, nil
}

// RevokeKey makes a key worthless from this moment.
func (a *API) RevokeKey(ctx context.Context, name, by string) error {
	err := a.db.Commit(ctx, func(tx *store.Tx) error {
		row, err := keyTable.Get(tx, store.Str(name))
		if err != nil {
			return err
		}
		if row == nil {
			return refusal(http.StatusNotFound, "not_found", "name", fmt.Sprintf("there is no key called %q. GET /keys lists them", name))
		}
		if err := keyTable.Delete(tx, store.Str(name)); err != nil {
			return err
		}
		return a.keys.reload(tx)
	})
	if err != nil {
		return err
	}
	a.log.Info("key revoked", "name", name, "by", by)
	return nil
}

// reload readies the keys as tx leaves them, to be used once it is on disk.
func (k *keyring) reload(tx *store.Tx) error {
	after := &keyring{}
	if err := after.load(tx); err != nil {
		return err
	}
	tx.OnCommit(func() { k.all.Store(after.all.Load()) })
	return nil
}

func validKey(name string, scopes []Scope) error {
	if !keyName.MatchString(name) || name == ByPage {
		return refusal(http.StatusBadRequest, "name_invalid", "name",
			"a key needs a name of 1 to 64 letters, digits, dots, dashes or blanks, such as till-1; \"page\" is taken")
	}
	if len(scopes) == 0 {
		return refusal(http.StatusBadRequest, "scopes_missing", "scopes", "say what the key may do. Scopes: "+names(Scopes))
	}
	for _, s := range scopes {
		if !slices.Contains(Scopes, s) {
			return refusal(http.StatusBadRequest, "unknown_value", "scopes", fmt.Sprintf("%q is not a scope. Scopes: %s", s, names(Scopes)))
		}
	}
	return nil
}

func names(scopes []Scope) string {
	s := make([]string, len(scopes))
	for i := range scopes {
		s[i] = string(scopes[i])
	}
	return strings.Join(s, ", ")
}

// hostForm is a host that callback may name: a name, "*." and a name for all
// below it, or a number; with a port, only on that. Lengths are counted beside
// the pattern: written into it they are a quarter of a megabyte of memory.
var hostForm = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$|^\[[0-9a-fA-F:]+\](:[0-9]{1,5})?$`)

// maxHost is the longest name of RFC 1035 §2.3.4, with "*." and a port.
const maxHost = 253 + len("*.") + len(":65535")

func validLimits(in wire.NewKey) error {
	for _, h := range in.CallbackHosts {
		if len(h) > maxHost || !hostForm.MatchString(h) {
			return refusal(http.StatusBadRequest, "host_invalid", "callback_hosts",
				fmt.Sprintf("%q is not a host. Write it as software.example, *.software.example or 192.168.1.20:8000", h))
		}
	}
	if in.PerHour < 0 || in.PerDay < 0 {
		return refusal(http.StatusBadRequest, "out_of_range", "per_hour", "per_hour and per_day count messages: 1 or more, or leave them out for no limit")
	}
	return nil
}

// mayCall reports whether a key may have this host, as it stands in an address,
// called back.
func (k *keyRow) mayCall(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	return slices.ContainsFunc(k.Hosts, func(allowed string) bool {
		if below, ok := strings.CutPrefix(allowed, "*"); ok { // ".software.example"
			return len(name) > len(below) && strings.EqualFold(name[len(name)-len(below):], below)
		}
		return strings.EqualFold(allowed, host) || strings.EqualFold(allowed, name)
	})
}

// callsBack is what queue/hook asks before it calls a till back: the secret is
// the SHA-256 of the key in hex, which the till can make and we have kept.
func (k *keyring) callsBack(name string) (secret []byte, mayCall func(string) bool, ok bool) {
	for _, row := range *k.all.Load() {
		if row.Name == name {
			return []byte(hex.EncodeToString(row.Sum)), row.mayCall, true
		}
	}
	return nil, nil, false
}

// caller is who makes a call.
type caller struct {
	key      *keyRow // nil: the operator at the socket, or nobody
	operator bool    // full rights
	by       string  // for the audit: a key's name, or "uid:1000"
}

func (c caller) known() bool { return c.operator || c.key != nil }

func (c caller) may(need ...Scope) bool {
	if c.operator {
		return true
	}
	return c.key != nil && slices.ContainsFunc(need, func(s Scope) bool { return slices.Contains(c.key.Scopes, s) })
}

// till is the name whose messages the caller is bound to: its own, unless it
// may read all.
func (c caller) till() string {
	if c.may(Read) {
		return ""
	}
	return c.by
}

// authenticate finds out who calls and whether they may. Without need anybody
// may, and a key that is not good is as no key.
func (a *API) authenticate(r *http.Request, need []Scope) (caller, error) {
	if by, ok := operator(r.Context()); ok {
		return caller{operator: true, by: by}, nil
	}
	var who caller
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		if key := a.keys.find(strings.TrimSpace(text)); key != nil {
			who = caller{key: key, by: key.Name}
		}
	}
	switch {
	case len(need) == 0 || who.may(need...):
		return who, nil
	case who.key != nil:
		return who, refusal(http.StatusForbidden, "scope_missing", "",
			fmt.Sprintf("the key %q may not do this: it needs the scope %s. Make a key that has it", who.by, strings.ReplaceAll(names(need), ", ", " or ")))
	case scheme == "":
		return who, refusal(http.StatusUnauthorized, "key_missing", "",
			"this call needs a key. Send the header: Authorization: Bearer tp_…")
	}
	return who, refusal(http.StatusUnauthorized, "key_wrong", "",
		"this key is not known here: mistyped, or revoked. Send the header: Authorization: Bearer tp_…")
}

func (a *API) listKeys(*call) (*reply, error) {
	return answer(http.StatusOK, wire.Page[wire.Key]{Items: a.toldKeys()})
}

func (a *API) toldKeys() []wire.Key {
	all := []wire.Key{}
	for _, row := range *a.keys.all.Load() {
		all = append(all, told(row, ""))
	}
	slices.SortFunc(all, func(x, y wire.Key) int { return y.Created.Compare(x.Created) })
	return all
}

func (a *API) addKey(c *call) (*reply, error) {
	var in wire.NewKey
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	text, err := a.MakeKey(c.ctx, in, c.who.by)
	if err != nil {
		return nil, err
	}
	return answer(http.StatusCreated, told(a.keys.find(text), text))
}

func (a *API) revokeKey(c *call) (*reply, error) {
	if err := a.RevokeKey(c.ctx, c.r.PathValue("name"), c.who.by); err != nil {
		return nil, err
	}
	return &reply{status: http.StatusNoContent}, nil
}

func told(row *keyRow, text string) wire.Key {
	k := wire.Key{
		Name: row.Name, Key: text, CallbackHosts: append([]string{}, row.Hosts...), PerHour: row.PerHour, PerDay: row.PerDay,
		Created: row.Created, By: row.By,
	}
	for _, s := range row.Scopes {
		k.Scopes = append(k.Scopes, string(s))
	}
	return k
}
