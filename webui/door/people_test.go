package door

import (
	"errors"
	"strings"
	"testing"
)

const herPassword = "vier heel losse woorden"

func TestPeopleHavePasswordsOfTheirOwn(t *testing.T) {
	f := newFront(t)
	ctx := t.Context()
	if err := f.SetPassword(ctx, password); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		person   Person
		password string
		want     error
	}{
		{Person{"", Cashier}, herPassword, ErrName},
		{Person{"shop", Cashier}, herPassword, ErrName},
		{Person{"SHOP", Cashier}, herPassword, ErrName},
		{Person{"a/b", Cashier}, herPassword, ErrName},
		{Person{strings.Repeat("å", 33), Cashier}, herPassword, ErrName},
		{Person{"Sanne", Owner}, herPassword, ErrRole},
		{Person{"Sanne", ""}, herPassword, ErrRole},
		{Person{"Sanne", Cashier}, "kort", &Weak{}},
	} {
		err := f.SetPerson(ctx, c.person, c.password)
		if _, weak := errors.AsType[*Weak](err); !errors.Is(err, c.want) && !weak {
			t.Errorf("%+v: %v, want %v", c.person, err, c.want)
		}
	}
	if err := f.SetPerson(ctx, Person{"Sanne", Cashier}, herPassword); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Login(ctx, "192.0.2.1", "Sanne", password); !errors.Is(err, ErrPassword) {
		t.Errorf("the shop's password for Sanne: %v", err)
	}
	if _, err := f.Login(ctx, "192.0.2.1", "Nobody", password); !errors.Is(err, ErrPassword) {
		t.Errorf("a name that nobody has, with the shop's password: %v", err)
	}
	hers, err := f.Login(ctx, "192.0.2.2", "sanne", herPassword)
	if err != nil {
		t.Fatal(err)
	}
	shops, err := f.Login(ctx, "192.0.2.2", "", password)
	if err != nil {
		t.Fatal(err)
	}
	who := func(token string) Person {
		p, _ := f.Who(token)
		return p
	}
	if got := who(hers); got != (Person{"Sanne", Cashier}) {
		t.Errorf("her session is of %+v", got)
	}
	if got := who(shops); got != (Person{"", Owner}) {
		t.Errorf("the shop's session is of %+v", got)
	}

	// Another role, and a restart: both are kept, her old session is not.
	if err := f.SetPerson(ctx, Person{"Sanne", Manager}, herPassword); err != nil {
		t.Fatal(err)
	}
	if f.Valid(hers) || !f.Valid(shops) {
		t.Error("a new password ends her sessions, and no others")
	}
	if hers, err = f.Login(ctx, "192.0.2.3", "Sanne", herPassword); err != nil {
		t.Fatal(err)
	}
	f.reopen()
	if got := who(hers); got != (Person{"Sanne", Manager}) || len(f.People()) != 1 || f.People()[0] != got {
		t.Errorf("after a restart: %+v, %v", got, f.People())
	}

	if err := f.RemovePerson(ctx, "sanne"); err != nil {
		t.Fatal(err)
	}
	if f.Valid(hers) || !f.Valid(shops) || len(f.People()) != 0 {
		t.Error("who is removed is out, and nobody else")
	}
	if _, err := f.Login(ctx, "192.0.2.4", "Sanne", herPassword); !errors.Is(err, ErrPassword) {
		t.Errorf("her login after that: %v", err)
	}
	for _, name := range []string{"Sanne", "", "shop"} {
		if err := f.RemovePerson(ctx, name); !errors.Is(err, ErrNobody) {
			t.Errorf("removing %q: %v", name, err)
		}
	}
}
