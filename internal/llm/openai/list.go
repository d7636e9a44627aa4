package openai

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"witan.dev/internal/llm"
	"witan.dev/internal/secret"
)

// List names the models of an endpoint, in its order; it is an llm.Lister. The answer is at most 1 MiB.
func (a *Adapter) List(ctx context.Context, baseURL string, key secret.Text) ([]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(baseURL, "/")+"/models", http.NoBody)
	if err != nil {
		return nil, err
	}
	if !key.IsZero() {
		req.Header.Set("Authorization", "Bearer "+key.Reveal())
	}
	resp, err := a.client.Do(req)
	if err != nil {
		if e := llm.Interrupted(ctx); e != nil {
			return nil, e
		}
		return nil, unreachable(err, false, key)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, unreachable(err, true, key)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, statusError(resp, raw, key)
	}
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, malformed(fmt.Sprintf("the list of models is %s", shown(mediaType(resp.Header))), raw, key)
	}
	names := make([]string, len(list.Data))
	for i, m := range list.Data {
		names[i] = m.ID
	}
	return names, nil
}
