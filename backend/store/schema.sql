-- One store: what one build of one model says. Everything that the reading pages show is in here.
-- `pos` numbers the positions (tokens, image cells) of all items in one sequence: pos = items.first_pos + place in the item.
-- `site_id` numbers the codebooks in the order of the forward pass; `field_id` the label fields.

CREATE TABLE facts (                 -- about the build; values are JSON
    key VARCHAR NOT NULL,            -- schema_version, model, family, kind, capabilities, spec, title, checkpoint_hash, code_version,
    value VARCHAR NOT NULL           -- seed, items, positions, activations, dataset, started, finished, seconds, split, neuron_positions, checks
);
CREATE TABLE codebooks (
    site_id SMALLINT NOT NULL, site VARCHAR NOT NULL, place VARCHAR NOT NULL, layer SMALLINT, head SMALLINT,
    num_codes INTEGER NOT NULL, dim INTEGER NOT NULL, slots SMALLINT NOT NULL, similarity VARCHAR NOT NULL,
    projection VARCHAR NOT NULL      -- what codes.x and codes.y are: 'umap' or, where too few codes are alive, 'pca'
);
CREATE TABLE codes (                 -- every code of every codebook, dead ones included
    site_id SMALLINT NOT NULL, code INTEGER NOT NULL,
    count BIGINT NOT NULL,           -- activations (position-slots) in the build
    items BIGINT NOT NULL,           -- items in which it fires at least once
    share DOUBLE NOT NULL,           -- count / positions: how often a position has it in any slot
    entropy DOUBLE NOT NULL,         -- bits, of the token (or patch label) distribution under the code; 0 for dead codes
    vector FLOAT[] NOT NULL,         -- the table's row
    x FLOAT, y FLOAT,                -- 2-D position by codebooks.projection; NULL for dead codes
    pca_x FLOAT NOT NULL, pca_y FLOAT NOT NULL
);
CREATE TABLE items (
    item INTEGER NOT NULL, first_pos BIGINT NOT NULL, positions INTEGER NOT NULL, shape INTEGER[] NOT NULL,
    half TINYINT NOT NULL,           -- 0: claims are made on it, 1: claims are tested on it (held out)
    text VARCHAR NOT NULL, tags VARCHAR NOT NULL  -- JSON
);
CREATE TABLE tokens (                -- one row a position, in order of pos
    pos BIGINT NOT NULL, item INTEGER NOT NULL, place INTEGER NOT NULL, token_id INTEGER NOT NULL,
    char_start INTEGER NOT NULL, char_end INTEGER NOT NULL,  -- characters in items.text
    token VARCHAR NOT NULL           -- items.text[char_start:char_end]
);
CREATE TABLE pictures (              -- image items only: what the model was shown, every value of eight bits exact
    item INTEGER NOT NULL, png BLOB NOT NULL
);
CREATE TABLE outputs (               -- image models only: a sample of the vectors that were compared with a codebook's codes
    site_id SMALLINT NOT NULL, pos BIGINT NOT NULL, pca_x FLOAT NOT NULL, pca_y FLOAT NOT NULL  -- by the codes' PCA
);
CREATE TABLE fields (field_id SMALLINT NOT NULL, field VARCHAR NOT NULL);
CREATE TABLE labels (                -- per-position truth, sorted by (field_id, value, pos)
    field_id SMALLINT NOT NULL, value VARCHAR NOT NULL, pos BIGINT NOT NULL
);
CREATE TABLE postings (              -- by code: sorted by (site_id, code, pos, slot)
    site_id SMALLINT NOT NULL, code INTEGER NOT NULL, pos BIGINT NOT NULL, slot SMALLINT NOT NULL,
    score FLOAT NOT NULL, margin FLOAT NOT NULL   -- margin: score minus that of the best code that was not chosen
);
CREATE TABLE grid (                  -- the same activations by position: sorted by (pos, site_id, slot)
    pos BIGINT NOT NULL, site_id SMALLINT NOT NULL, slot SMALLINT NOT NULL, code INTEGER NOT NULL,
    score FLOAT NOT NULL, margin FLOAT NOT NULL, runner_up INTEGER NOT NULL
);
CREATE TABLE neighbours (            -- nearest code vectors in the same codebook, by its similarity (euclidean, else cosine); live codes only
    site_id SMALLINT NOT NULL, code INTEGER NOT NULL, rank SMALLINT NOT NULL, neighbour INTEGER NOT NULL, cosine FLOAT NOT NULL
);
CREATE TABLE cooccurrence (          -- codes that fire at the same position in any codebook; the strongest by PMI, at least min_together
    site_id SMALLINT NOT NULL, code INTEGER NOT NULL, other_site_id SMALLINT NOT NULL, other_code INTEGER NOT NULL,
    together BIGINT NOT NULL, pmi DOUBLE NOT NULL  -- log2 P(a, b) / (P(a) P(b)), over positions
);
CREATE TABLE neurons (               -- for the neuron baseline: activations of one neuron at the first neuron_positions positions
    site VARCHAR NOT NULL, neuron INTEGER NOT NULL,
    ranks BLOB NOT NULL              -- uint16 little-endian per position: rank of its activation among these positions, 0 lowest
                                     -- (ties in position order), so that any threshold is exact; neuron_positions <= 65,536
);
CREATE TABLE metrics (               -- from the checkpoint's model card: measured when it was trained, not by the build
    name VARCHAR NOT NULL, value DOUBLE NOT NULL, low DOUBLE NOT NULL, high DOUBLE NOT NULL, n BIGINT NOT NULL,
    seeds INTEGER NOT NULL, definition VARCHAR NOT NULL
);
