package door

import (
	"context"
	"crypto/rand"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tillpost/queue/store"
)

// Role says what somebody is in the shop. What each may do is the page's
// business.
type Role string

const (
	Owner      Role = "owner"      // who has the password of the shop: may do everything
	Manager    Role = "manager"    // what customers are told, and what they answer
	Technician Role = "technician" // how the box works, and not who the customers are
	Cashier    Role = "cashier"    // writes, and sees what came of it
)

// Roles that a person can be given.
var Roles = []Role{Cashier, Manager, Technician}

// Person is somebody who has a password of their own. The one without a name
// is whoever has the password of the shop.
type Person struct {
	Name string
	Role Role
}

// Errors of a person.
var (
	ErrName   = errors.New("a name has 1 to 32 letters, digits, dots, dashes or blanks, and is not shop")
	ErrRole   = errors.New("a person is a cashier, a manager or a technician")
	ErrNobody = errors.New("there is no person of this name")
)

// A name's length is counted, not written into the pattern: all letters of the
// world 32 times over are a megabyte of a small box's memory.
var nameForm = regexp.MustCompile(`^[\p{L}0-9][\p{L}0-9 ._-]*$`)

const maxName = 32 // letters

func validName(name string) bool {
	return utf8.RuneCountInString(name) <= maxName && nameForm.MatchString(name) && key(name) != theOne
}

// key of a name as it is kept: people do not look at capitals.
func key(name string) string {
	if name == "" {
		return theOne
	}
	return strings.ToLower(name)
}

// person that a secret belongs to.
func (s *secret) person() Person {
	if s.Name == theOne {
		return Person{Role: Owner}
	}
	return Person{Name: s.Shown, Role: s.Role}
}

// People lists who has a password of their own, by name.
func (d *Door) People() []Person {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []Person
	for name, s := range d.people {
		if name != theOne {
			all = append(all, s.person())
		}
	}
	slices.SortFunc(all, func(a, b Person) int { return strings.Compare(key(a.Name), key(b.Name)) })
	return all
}

// SetPerson adds a person, or gives one another role and password, and ends
// their sessions. Errors: ErrName, ErrRole, *Weak.
func (d *Door) SetPerson(ctx context.Context, p Person, password string) error {
	if !validName(p.Name) {
		return ErrName
	}
	if !slices.Contains(Roles, p.Role) {
		return ErrRole
	}
	s, err := d.newSecret(ctx, key(p.Name), password)
	if err != nil {
		return err
	}
	s.Shown, s.Role = p.Name, p.Role
	err = d.cfg.DB.Commit(ctx, func(tx *store.Tx) error {
		if err := endSessions(tx, s.Name); err != nil {
			return err
		}
		return secretTable.Put(tx, s)
	})
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.people[s.Name] = s
	d.forget(s.Name)
	d.log.Info("a person was given a password for the page", "role", s.Role)
	return nil
}

// RemovePerson takes somebody's password and sessions away. Error: ErrNobody.
func (d *Door) RemovePerson(ctx context.Context, name string) error {
	k := key(name)
	d.mu.Lock()
	_, known := d.people[k]
	d.mu.Unlock()
	if !known || k == theOne {
		return ErrNobody
	}
	err := d.cfg.DB.Commit(ctx, func(tx *store.Tx) error {
		if err := endSessions(tx, k); err != nil {
			return err
		}
		return secretTable.Delete(tx, store.Str(k))
	})
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.people, k)
	d.forget(k)
	d.log.Info("a person's password for the page was taken away")
	return nil
}

// newSecret hashes a password for a name. Errors: *Weak.
func (d *Door) newSecret(ctx context.Context, name, password string) (*secret, error) {
	if err := strong(password); err != nil {
		return nil, err
	}
	s := &secret{Name: name, Salt: make([]byte, 16), Time: hashTime, Memory: d.memory, Changed: time.Now()}
	rand.Read(s.Salt) // never fails (crypto/rand)
	var err error
	s.Hash, err = d.hash(ctx, password, s)
	return s, err
}

// endSessions of a name; "*" means everybody's.
func endSessions(tx *store.Tx, name string) error {
	for row, err := range sessionTable.Scan(tx, nil) {
		if err != nil {
			return err
		}
		if name != "*" && row.Name != name {
			continue
		}
		if err := sessionTable.Delete(tx, row.Sum); err != nil {
			return err
		}
	}
	return nil
}

// forget the open sessions of a name. d.mu is held.
func (d *Door) forget(name string) {
	for sum, v := range d.sessions {
		if v.name == name {
			delete(d.sessions, sum)
		}
	}
}

// Who is the person a token was given to; false if its session is over.
func (d *Door) Who(token string) (Person, bool) {
	if token == "" {
		return Person{}, false
	}
	sum := sumOf(token)
	d.mu.Lock()
	defer d.mu.Unlock()
	v, open := d.sessions[sum]
	s := d.people[v.name]
	if !open || s == nil || !time.Now().Before(v.until) {
		return Person{}, false
	}
	return s.person(), true
}
