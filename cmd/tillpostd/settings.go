package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"tillpost/queue/store"
	"tillpost/webui/api"
	"tillpost/webui/api/wire"
)

// One schema, two places (contract.md, Configuration): what the boot file says
// wins, and everything else may be kept in the store under the same names. The
// daemon begins with the file, opens the store that it names, and lays what is
// kept there under it.

// errAgain ends serve because other settings were stored: it is called anew.
var errAgain = errors.New("other settings were stored")

// onlyFile are settings that are needed before the store can be read.
var onlyFile = map[string]string{
	"data_dir":        "it says where the settings are kept",
	"limits.min_free": "it is needed to open the store",
}

// settled is the configuration with what the store keeps. Settings that no
// longer make sense, to a newer version say, are told and left out: a box must
// start.
func (c *Config) settled(db *store.DB, log *slog.Logger) (*Config, error) {
	stored, err := api.Stored(db)
	if err != nil {
		return nil, err
	}
	if len(stored) == 0 {
		return c, nil
	}
	cfg, ps := c.with(stored)
	if ps.fatal() {
		for _, p := range ps.list {
			log.Error("a stored setting makes no sense, so none of them is used", "problem", p.String())
		}
		return c, nil
	}
	return cfg, nil
}

// with lays stored settings under the boot file and checks the whole.
func (c *Config) with(stored map[string]json.RawMessage) (*Config, *problems) {
	ps := &problems{file: "settings"}
	tree, inFile := map[string]any{}, map[string]bool{}
	next := new(Config)
	if c.boot == nil {
		*next = *c
	} else {
		next = defaultConfig()
		ps.file, ps.lines = c.bootFile, keyLines(string(c.boot))
		if err := toml.Unmarshal(c.boot, &tree); err != nil {
			ps.fault("", "%v", err) // it was read before, so it cannot be
			return nil, ps
		}
		leaves("", tree, inFile)
	}
	next.origins = map[string]string{}
	for key := range inFile {
		next.origins[key] = wire.OriginFile
	}
	for key, raw := range stored {
		if why, never := onlyFile[key]; never {
			ps.fault(key, "can be set in the boot file only: %s", why)
			continue
		}
		if inFile[key] {
			continue
		}
		var v any
		dec := json.NewDecoder(strings.NewReader(string(raw)))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			ps.fault(key, "is not JSON: %v", err)
			continue
		}
		if !plant(tree, strings.Split(key, "."), fromJSON(v)) {
			ps.fault(key, "%s", unknownKey("", key, reflect.TypeFor[Config]()))
			continue
		}
		next.origins[key] = wire.OriginStore
	}
	ps.bind("", tree, reflect.ValueOf(next).Elem())
	next.boot, next.bootFile, next.world, next.base = c.boot, c.bootFile, c.world, c
	next.readSecrets(ps)
	next.validate(ps)
	next.refuseAbsent(ps)
	return next, ps
}

// leaves lists the dotted names of a tree; a list is a leaf.
func leaves(path string, tree map[string]any, into map[string]bool) {
	for key, v := range tree {
		if below, ok := v.(map[string]any); ok {
			leaves(join(path, key), below, into)
			continue
		}
		into[join(path, key)] = true
	}
}

// plant puts a value into a tree; false: there is no room at that place.
func plant(tree map[string]any, path []string, v any) bool {
	for ; len(path) > 1; path = path[1:] {
		below, ok := tree[path[0]].(map[string]any)
		if !ok {
			if tree[path[0]] != nil {
				return false
			}
			below = map[string]any{}
			tree[path[0]] = below
		}
		tree = below
	}
	tree[path[0]] = v
	return true
}

// fromJSON gives a value the types that a TOML decoder gives.
func fromJSON(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case map[string]any:
		for key := range v {
			v[key] = fromJSON(v[key])
		}
	case []any:
		tables := make([]map[string]any, 0, len(v))
		for i := range v {
			v[i] = fromJSON(v[i])
			if t, ok := v[i].(map[string]any); ok {
				tables = append(tables, t)
			}
		}
		if len(tables) == len(v) && len(v) > 0 {
			return tables
		}
	}
	return v
}

// settings lists everything that can be set, as it is in force.
func (c *Config) settings() []wire.Setting {
	var list []wire.Setting
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		if v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Struct {
			if v.IsNil() { // no such table: its settings are shown as it would begin
				v = fresh(v.Type().Elem())
			}
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			origin := c.originOf(path)
			_, fixed := onlyFile[path]
			list = append(list, wire.Setting{Key: path, Value: plainly(v), Origin: origin, Fixed: fixed || origin == wire.OriginFile})
			return
		}
		known := fields(v.Type())
		for _, key := range sortedKeys(known) {
			walk(join(path, key), v.Field(known[key]))
		}
	}
	walk("", reflect.ValueOf(c).Elem())
	return list
}

func (c *Config) originOf(key string) string {
	if o := c.origins[key]; o != "" {
		return o
	}
	return wire.OriginDefault
}

// plainly is a value as JSON spells it; what a secret is stays here.
func plainly(v reflect.Value) any {
	switch {
	case v.Type() == durationType:
		return v.Interface().(time.Duration).String()
	case v.Type() == reflect.TypeFor[secret]():
		if v.String() == "" {
			return ""
		}
		return api.SecretShown
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return plainly(v.Elem())
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plainly(v.Index(i))
		}
		return list
	case reflect.Struct:
		m := map[string]any{}
		for key, i := range fields(v.Type()) {
			m[key] = plainly(v.Field(i))
		}
		return m
	}
	return v.Interface()
}

// forAPI is what the API is given. again ends the daemon so that it begins anew.
func (c *Config) forAPI(again func()) *api.Settings {
	return &api.Settings{
		List: c.settings,
		Check: func(stored map[string]json.RawMessage) error {
			_, ps := c.with(stored)
			for _, p := range ps.list {
				if !p.mild {
					return &wire.Problem{
						Type: "urn:tillpost:problem:setting_invalid", Title: http.StatusText(http.StatusBadRequest),
						Status: http.StatusBadRequest, Code: "setting_invalid", Field: p.key, Detail: fmt.Sprintf("%s: %s", p.key, p.text),
					}
				}
			}
			return nil
		},
		Changed: again,
	}
}

// keepServing runs serve again whenever other settings were stored.
func keepServing(serve func() error) error {
	for {
		if err := serve(); !errors.Is(err, errAgain) {
			return err
		}
	}
}
