#!/usr/bin/env node
require('../dist/cli/qsnap/qsnap.cjs');
