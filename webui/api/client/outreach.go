package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"tillpost/webui/api/wire"
	"tillpost/webui/api/wire/reach"
)

// ImportContacts takes over contacts from a file, as it is.
func (c *Client) ImportContacts(ctx context.Context, file []byte, options url.Values) (out reach.Imported, err error) {
	return out, c.callFile(ctx, "/contacts/import", options, file, &out)
}

// Contacts lists contacts by id, after one.
func (c *Client) Contacts(ctx context.Context, after string) (out wire.Page[reach.Contact], err error) {
	return out, c.call(ctx, http.MethodGet, "/contacts", url.Values{"after": {after}, "limit": {"1000"}}, "", nil, &out)
}

// Batch sends to the list in a file.
func (c *Client) Batch(ctx context.Context, file []byte, options url.Values) (out reach.Started, err error) {
	return out, c.callFile(ctx, "/batches", options, file, &out)
}

// callFile posts a file that is not JSON.
func (c *Client) callFile(ctx context.Context, path string, q url.Values, file []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	target := c.base + prefix + path
	if len(q) > 0 {
		target += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(file))
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	req.Header = c.header("")
	req.Header.Set("Content-Type", "text/csv")
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%w (%w)", c.noBox(err), errLost)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return refused(resp)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReply)).Decode(out); err != nil {
		return fmt.Errorf("client: the answer of the box: %w", err)
	}
	return nil
}
