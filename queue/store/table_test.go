package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

// TestTableIsAMap lets a table and a map have the same life. At any time
//
//  1. the table has the rows of the map, in key order, both ways;
//  2. each index has exactly the entries its rows ask for, both ways;
//  3. a change that failed changed nothing;
//  4. Check agrees;
//  5. all of that survives closing and opening.
func TestTableIsAMap(t *testing.T) {
	dir := t.TempDir()
	file := 0
	rapid.Check(t, func(rt *rapid.T) {
		file++
		path := filepath.Join(dir, fmt.Sprint(file))
		opt := Options{Path: path, NoSync: true}
		tab := newThings()
		db, err := Open(opt, tab)
		must(t, err)
		defer func() { must(t, db.Close()) }()
		model := map[uint64]thing{}

		anyID := rapid.Uint64Range(1, 12)
		anyThing := rapid.Custom(func(t *rapid.T) thing {
			v := thing{
				ID:    anyID.Draw(t, "id"),
				Pool:  rapid.SampledFrom([]string{"sms", "mail"}).Draw(t, "pool"),
				Words: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 3, rapid.ID).Draw(t, "words"),
				Text:  strings.Repeat("x", rapid.IntRange(0, 3000).Draw(t, "text")),
			}
			if rapid.Bool().Draw(t, "has due") {
				v.Due = time.Unix(rapid.Int64Range(0, 5).Draw(t, "due"), 0).UTC()
			}
			if len(v.Words) == 0 {
				v.Words = nil // as JSON brings it back
			}
			return v
		})
		boom := errors.New("boom")
		commit := func(fn func(tx *Tx) error) error { return db.Commit(t.Context(), fn) }

		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				v := anyThing.Draw(rt, "row")
				must(t, commit(func(tx *Tx) error { return tab.Put(tx, &v) }))
				model[v.ID] = v
			},
			"insert": func(rt *rapid.T) {
				v := anyThing.Draw(rt, "row")
				err := commit(func(tx *Tx) error { return tab.Insert(tx, &v) })
				if _, there := model[v.ID]; there {
					if !errors.Is(err, ErrExists) {
						rt.Fatalf("insert over row %d: %v", v.ID, err)
					}
					return
				}
				must(t, err)
				model[v.ID] = v
			},
			"update": func(rt *rapid.T) {
				v := anyThing.Draw(rt, "row")
				fail := rapid.Bool().Draw(rt, "fail")
				err := commit(func(tx *Tx) error {
					got, err := tab.Update(tx, v.pk(), func(row *thing) error {
						if !equal(*row, model[v.ID]) {
							rt.Errorf("update got %+v, want %+v", *row, model[v.ID])
						}
						*row = v
						if fail {
							return boom
						}
						return nil
					})
					if err == nil && !equal(*got, v) {
						rt.Errorf("update returned %+v, want %+v", *got, v)
					}
					return err
				})
				_, there := model[v.ID]
				switch {
				case !there && !errors.Is(err, ErrNotFound), there && fail && !errors.Is(err, boom), there && !fail && err != nil:
					rt.Fatalf("update of row %d (there: %v, to fail: %v): %v", v.ID, there, fail, err)
				case there && !fail:
					model[v.ID] = v
				}
			},
			"delete": func(rt *rapid.T) {
				id := anyID.Draw(rt, "id")
				must(t, commit(func(tx *Tx) error { return tab.Delete(tx, U64(id)) }))
				delete(model, id)
			},
			"several, then fail": func(rt *rapid.T) {
				vs := rapid.SliceOfN(anyThing, 1, 5).Draw(rt, "rows")
				err := commit(func(tx *Tx) error {
					for i := range vs {
						must(t, tab.Put(tx, &vs[i]))
					}
					must(t, tab.Delete(tx, vs[0].pk()))
					return boom
				})
				if !errors.Is(err, boom) {
					rt.Fatalf("told %v", err)
				}
			},
			"delete while scanning": func(rt *rapid.T) {
				word := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "word")
				must(t, commit(func(tx *Tx) error {
					for v, err := range tab.Scan(tx, nil) {
						must(t, err)
						if slices.Contains(v.Words, word) {
							must(t, tab.Delete(tx, v.pk()))
							delete(model, v.ID)
						}
					}
					return nil
				}))
			},
			"reopen": func(rt *rapid.T) {
				must(t, db.Close())
				db, err = Open(opt, tab)
				must(t, err)
			},
			"": func(rt *rapid.T) {
				from := anyID.Draw(rt, "from")
				must(t, db.View(func(tx *Tx) error {
					compare(rt, tx, tab, model, from)
					return nil
				}))
				must(t, db.Check())
			},
		})
	})
}

func equal(a, b thing) bool {
	return a.ID == b.ID && a.Pool == b.Pool && a.Text == b.Text && a.Due.Equal(b.Due) && slices.Equal(a.Words, b.Words)
}

func compare(t *rapid.T, tx *Tx, tab things, model map[uint64]thing, from uint64) {
	ids := slices.Sorted(maps.Keys(model))
	split, found := slices.BinarySearch(ids, from)
	collect := func(what string, rows func(func(*thing, error) bool), want []uint64) {
		var got []uint64
		for v, err := range rows {
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if !equal(*v, model[v.ID]) {
				t.Fatalf("%s: row %d is %+v, want %+v", what, v.ID, *v, model[v.ID])
			}
			got = append(got, v.ID)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s: rows %v, want %v", what, got, want)
		}
	}
	back := slices.Clone(ids)
	slices.Reverse(back)
	below := slices.Clone(ids[:split])
	slices.Reverse(below)
	collect("Scan", tab.Scan(tx, nil), ids)
	collect("ScanBack", tab.ScanBack(tx, nil), back)
	collect("Scan from", tab.Scan(tx, U64(from)), ids[split:])
	collect("ScanBack from", tab.ScanBack(tx, U64(from)), below)
	if v, err := tab.Get(tx, U64(from)); err != nil || (v != nil) != found {
		t.Fatalf("Get %d: %v, %v, want found: %v", from, v, err, found)
	}

	for _, ix := range []*Index[thing]{tab.due, tab.word} {
		var want []string
		for _, v := range model {
			for _, k := range ix.keys(&v) {
				want = append(want, fmt.Sprintf("%x=%x", k, v.pk()))
			}
		}
		slices.Sort(want)
		var got, got2 []string
		for k, pk := range ix.Keys(tx, nil) {
			got = append(got, fmt.Sprintf("%x=%x", k, pk))
		}
		for k, pk := range ix.KeysBack(tx, nil) {
			got2 = append(got2, fmt.Sprintf("%x=%x", k, pk))
		}
		slices.Reverse(got2)
		if !slices.Equal(got, want) || !slices.Equal(got2, want) {
			t.Fatalf("index %s: %v and backwards %v, want %v", ix.name, got, got2, want)
		}
	}
	word := Str("b")
	for k := range tab.word.KeysBack(tx, End(word)) {
		if bytes.Compare(k, End(word)) >= 0 {
			t.Fatalf("KeysBack begins at %x, want below %x", k, End(word))
		}
		break
	}
}

// TestUnchangedIndexKeysAreNotRewritten looks at the pages: a change of the
// text alone must not touch the index.
func TestUnchangedIndexKeysAreNotRewritten(t *testing.T) {
	db, tab := openThings(t, Options{NoSync: true})
	var vs []thing
	for n := range uint64(2000) {
		vs = append(vs, thing{ID: n + 1, Pool: "sms", Due: time.Unix(int64(n), 0), Words: []string{"a", "b"}})
	}
	tab.put(t, db, vs...)
	written := func(fn func(*thing)) int64 {
		before := db.Stats().Written
		must(t, db.Commit(t.Context(), func(tx *Tx) error {
			_, err := tab.Update(tx, U64(1000), func(v *thing) error { fn(v); return nil })
			return err
		}))
		return db.Stats().Written - before
	}
	text := written(func(v *thing) { v.Text = "x" })
	due := written(func(v *thing) { v.Due = time.Unix(5000, 0) })
	if text > 5*pageSize { // row: leaf, branch; tables: leaf; header; and one to spare
		t.Errorf("a change of the text alone wrote %d bytes", text)
	}
	if due <= text {
		t.Errorf("a change of the text wrote %d bytes, one of the index %d", text, due)
	}
}

func TestTwoRowsWantOneIndexKey(t *testing.T) {
	ref := NewIndex("thing.ref", func(v *thing) [][]byte { return [][]byte{Str(v.Text)} })
	tab := NewTable("thing", (*thing).pk, ref)
	db := openChecked(t, Options{Path: filepath.Join(t.TempDir(), "test.db")}, tab)
	err := db.Commit(t.Context(), func(tx *Tx) error {
		return errors.Join(tab.Put(tx, &thing{ID: 1, Text: "same"}), tab.Put(tx, &thing{ID: 2, Text: "same"}))
	})
	if err == nil || !strings.Contains(err.Error(), "thing.ref") {
		t.Errorf("told %v", err)
	}
}

func TestWrongUseIsTold(t *testing.T) {
	db, tab := openThings(t, Options{})
	stranger := NewTable("stranger", (*thing).pk, NewIndex("stranger.none", func(*thing) [][]byte { return nil }))
	tab.put(t, db, thing{ID: 1})
	var kept *Tx
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"write in a View", db.View(func(tx *Tx) error { kept = tx; return tab.Put(tx, &thing{ID: 2}) }), "View cannot write"},
		{"sequence in a View", db.View(func(tx *Tx) error { _, err := tab.NextSequence(tx); return err }), "View cannot write"},
		{"unknown table", db.View(func(tx *Tx) error { _, err := stranger.Get(tx, U64(1)); return err }), "stranger was not given to Open"},
		{"unknown index", db.View(func(tx *Tx) error {
			for range stranger.indexes[0].Keys(tx, nil) {
			}
			return nil
		}), "stranger.none was not given to Open"},
		{"transaction kept", db.View(func(*Tx) error { _, err := tab.Get(kept, U64(1)); return err }), "after its function returned"},
		{"key changed", db.Commit(t.Context(), func(tx *Tx) error {
			_, err := tab.Update(tx, U64(1), func(v *thing) error { v.ID = 5; return nil })
			return err
		}), "changed the key"},
		{"update in a View", db.View(func(tx *Tx) error {
			_, err := tab.Update(tx, U64(1), func(v *thing) error { return nil })
			return err
		}), "View cannot write"},
		{"delete in a View", db.View(func(tx *Tx) error { return tab.Delete(tx, U64(1)) }), "View cannot write"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v, want it to say %q", c.name, c.err, c.want)
		}
	}
	if _, err := Open(Options{Path: filepath.Join(t.TempDir(), "x.db")}, tab, tab); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("one name for two tables: %v", err)
	}
	if _, err := Open(Options{}); err == nil {
		t.Error("a store without a path was opened")
	}
}

func TestRisingRowsTakeHalfTheRoom(t *testing.T) {
	size := func(tab *Table[thing]) int64 {
		db := openChecked(t, Options{Path: filepath.Join(t.TempDir(), "test.db"), NoSync: true}, tab)
		for n := range 300 {
			must(t, db.Commit(t.Context(), func(tx *Tx) error {
				for i := range 10 {
					must(t, tab.Put(tx, &thing{ID: uint64(n*10 + i + 1), Text: strings.Repeat("x", 250)}))
				}
				return nil
			}))
		}
		s := db.Stats()
		return s.Size - s.Free
	}
	plain, rising := size(NewTable("a", (*thing).pk)), size(NewTable("a", (*thing).pk).Rising())
	if rising*3 > plain*2 {
		t.Errorf("rising rows take %d bytes, others %d", rising, plain)
	}
}

// TestCheckFindsEveryKindOfRot spoils one thing at a time behind the store's
// back.
func TestCheckFindsEveryKindOfRot(t *testing.T) {
	due := time.Unix(1000, 0)
	for _, c := range []struct {
		name  string
		spoil func(tx *bolt.Tx) error
		want  []string
	}{
		{"a flipped bit in a row", func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte("thing"))
			raw := bytes.Clone(b.Get(U64(2)))
			raw[len(raw)-3] ^= 4
			return b.Put(U64(2), raw)
		}, []string{"row 0000000000000002", "checksum"}},
		{"a row cut short", func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("thing")).Put(U64(2), []byte("ab"))
		}, []string{"row 0000000000000002", "cut off"}},
		{"a row that is no JSON", func(tx *bolt.Tx) error {
			raw, err := encode("words")
			return errors.Join(err, tx.Bucket([]byte("thing")).Put(U64(2), raw))
		}, []string{"row 0000000000000002", "json"}},
		{"a row under a wrong key", func(tx *bolt.Tx) error {
			raw, err := encode(thing{ID: 9})
			return errors.Join(err, tx.Bucket([]byte("thing")).Put(U64(8), raw))
		}, []string{"thing 0000000000000008", "another key"}},
		{"an index entry lost", func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("thing.due")).Delete(Join(Str("sms"), Time(due), U64(1)))
		}, []string{"thing.due", "row 0000000000000001 is missing"}},
		{"an index entry of nobody", func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("thing.word")).Put(Join(Str("z"), U64(77)), U64(77))
		}, []string{"thing.word", "without its row"}},
		{"an index entry too many", func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("thing.word")).Put(Join(Str("z"), U64(2)), U64(2))
		}, []string{"thing.word", "without its row"}},
		{"an index entry of another", func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("thing.word")).Put(Join(Str("a"), U64(2)), U64(1))
		}, []string{"thing.word", "row 0000000000000002 is missing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "test.db")
			db, tab := openThings(t, Options{Path: path})
			tab.put(t, db, thing{ID: 1, Pool: "sms", Due: due}, thing{ID: 2, Words: []string{"a"}}, thing{ID: 3})
			must(t, db.Check())
			must(t, db.bolt.Update(c.spoil))
			err := db.Check()
			if err == nil || !errors.Is(err, ErrDamaged) {
				t.Fatalf("check says %v", err)
			}
			for _, want := range append(c.want, path, "tillpost restore") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("check says %v, want it to say %q", err, want)
				}
			}
			must(t, db.Close())
		})
	}
}

func TestCheckRunsChecksOfOwners(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db, tab := openThings(t, Options{Path: path})
	tab.put(t, db, thing{ID: 1, Text: "odd"})
	db.AddCheck("nothing is odd", func(tx *Tx) error {
		v, err := tab.Get(tx, U64(1))
		if err == nil && v.Text == "odd" {
			return errors.New("row 1 is odd")
		}
		return err
	})
	if err := db.Check(); err == nil || !strings.Contains(err.Error(), "check nothing is odd: row 1 is odd") {
		t.Errorf("check says %v", err)
	}
	tab.put(t, db, thing{ID: 1})
	must(t, db.Check())
}

func TestCheckDoesNotReportWithoutEnd(t *testing.T) {
	db, tab := openThings(t, Options{NoSync: true})
	for n := range uint64(maxFaults + 5) {
		tab.put(t, db, thing{ID: n + 1, Words: []string{"a"}})
	}
	must(t, db.bolt.Update(func(tx *bolt.Tx) error {
		must(t, tx.DeleteBucket([]byte("thing.word")))
		_, err := tx.CreateBucket([]byte("thing.word"))
		return err
	}))
	err := db.Check()
	if n := strings.Count(err.Error(), "is missing"); n != maxFaults || !strings.HasSuffix(err.Error(), "and 5 more") {
		t.Errorf("check reports %d faults and ends in %q", n, err.Error()[len(err.Error())-20:])
	}
	must(t, db.Close())
}

// TestScanGoesOnAfterDamagedRow: one bad row must not hide the others.
func TestScanGoesOnAfterDamagedRow(t *testing.T) {
	db, tab := openThings(t, Options{})
	tab.put(t, db, thing{ID: 1}, thing{ID: 2}, thing{ID: 3})
	must(t, db.bolt.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte("thing")).Put(U64(2), []byte("rot12345")) }))
	good, bad := 0, 0
	must(t, db.View(func(tx *Tx) error {
		for v, err := range tab.Scan(tx, nil) {
			switch {
			case errors.Is(err, ErrDamaged) && v == nil:
				bad++
			case err == nil:
				good++
			}
		}
		return nil
	}))
	if good != 2 || bad != 1 {
		t.Errorf("%d good rows and %d bad ones", good, bad)
	}
	must(t, db.Close())
}
